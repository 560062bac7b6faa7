"""Write the digits that scikit-learn brings (UCI, CC BY 4.0) as files that can land in the table `digits`.

1,797 digits by 43 people, of 8 x 8 pixels with 17 levels of grey. Source: Alpaydin and Kaynak, Optical
Recognition of Handwritten Digits, UCI Machine Learning Repository (1998).
"""

import argparse
from pathlib import Path

import pandas as pd
from features import LEVELS

FIRST_DAY = pd.Timestamp("2026-01-05", tz="UTC")


def digits() -> pd.DataFrame:
    """Every digit as a row of the table, in the order of the data set, one a minute."""
    from sklearn.datasets import load_digits  # seconds, which no training on rows of the lake needs

    bundled = load_digits()
    pixels = ["".join(LEVELS[int(level)] for level in image) for image in bundled.data]
    return pd.DataFrame(
        {
            "digit_id": [f"digit-{number:04}" for number in range(len(pixels))],
            "written_at": FIRST_DAY + pd.to_timedelta(range(len(pixels)), unit="min"),
            "pixels": pixels,
            "digit": bundled.target.astype(str),
        }
    )


def training_parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows for a run without a lake."""
    rows = digits()
    return rows.iloc[:1400], rows.iloc[1400:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--batches", type=int, default=1, help="files, in the order of the data set")
    parser.add_argument("--rows", type=int, help="how many rows; all that there are when left out")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    rows = digits().head(chosen.rows) if chosen.rows else digits()
    for number in range(chosen.batches):
        batch = rows.iloc[number * len(rows) // chosen.batches : (number + 1) * len(rows) // chosen.batches]
        part = chosen.output / f".digits-{number + 1:03}.csv.part"
        batch.to_csv(part, index=False)
        part.replace(chosen.output / f"digits-{number + 1:03}.csv")  # a file lands whole or not at all


if __name__ == "__main__":
    main()

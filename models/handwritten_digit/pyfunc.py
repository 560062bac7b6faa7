"""The classifier as an MLflow model, from code: nothing is pickled.

MLflow runs this file when it loads the model.
"""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext
from network import DigitClassifier, most_likely


class HandwrittenDigit(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.model = DigitClassifier.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow's interface
        """Columns `prediction` (the digit) and `score` (its probability) for the column `pixels`."""
        listed = self.model.probabilities(model_input["pixels"].tolist())
        return pd.DataFrame(
            {
                "prediction": [most_likely(row) for row in listed],
                "score": [max(row.values()) for row in listed],
            }
        )


mlflow.models.set_model(HandwrittenDigit())

"""The classifier as an MLflow model, from code: nothing is pickled.

MLflow runs this file when it loads the model.
"""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext
from network import DelayClassifier


class FlightDelay(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.model = DelayClassifier.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow's interface
        """A column `prediction` (0 or 1) and a column `score`
        (the probability of 1) for the features' columns.
        """
        scores = pd.Series(self.model.probabilities(model_input.to_dict("records")), dtype=float)
        return pd.DataFrame({"prediction": (scores > 0.5).astype(int), "score": scores})


mlflow.models.set_model(FlightDelay())

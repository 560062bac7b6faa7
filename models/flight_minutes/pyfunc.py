"""The regressor as an MLflow model, from code: nothing is pickled.

MLflow runs this file when it loads the model.
"""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext
from network import MinutesRegressor


class FlightMinutes(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.model = MinutesRegressor.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow's interface
        """A column `prediction` (minutes of delay) for the features' columns."""
        return pd.DataFrame({"prediction": self.model.minutes(model_input.to_dict("records"))})


mlflow.models.set_model(FlightMinutes())

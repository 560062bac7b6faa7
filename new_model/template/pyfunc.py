"""The model as an MLflow model, from code: nothing is pickled.

MLflow runs this file when it loads the model.
"""

from pathlib import Path

import mlflow
import pandas as pd
from labels import ANSWER
from mlflow.pyfunc import PythonModel, PythonModelContext
from network import Network


class Model(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.model = Network.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow's interface
        """The columns of `labels.ANSWER` for the features' columns."""
        return pd.DataFrame(self.model.answers(model_input.to_dict("records")), columns=list(ANSWER))


mlflow.models.set_model(Model())

"""The gateway's tokens, as the platform makes, lists and revokes them."""

from tasks.contracts import KnownToken, TokenGrant
from tasks.serving.gateway import Gateway

PATH = "/internal/tokens"


class Tokens(Gateway):
    """What the gateway's `/internal/tokens` offers; each call may be repeated."""

    def make(self, grant: TokenGrant, made_by: str) -> KnownToken:
        """Let a token in, known by its hash.

        Raises:
            ServingError: The gateway does not answer, or takes no such token; it says why.
        """
        document = grant.model_dump(mode="json", exclude={"contract_version"}) | {"made_by": made_by}
        return KnownToken.model_validate(self._call("POST", PATH, json=document).json())

    def known(self) -> list[KnownToken]:
        """Every token, also those that were revoked and those of the gateway's setting.

        Raises:
            ServingError: The gateway does not answer.
        """
        return [KnownToken.model_validate(each) for each in self._call("GET", PATH).json()["tokens"]]

    def revoke(self, token_id: str, revoked_by: str) -> KnownToken:
        """Let a token in no more, for good.

        Raises:
            ServingError: The gateway does not answer, or knows no such token.
        """
        answer = self._call("DELETE", f"{PATH}/{token_id}", params={"by": revoked_by})
        return KnownToken.model_validate(answer.json())

"""Whether somebody may come in now, in the sentence that the person reads. Runs in the hub."""

from unixspawner_mediator.sentences import cannot_tell, not_a_member

from .client import AskError
from .membership import Answer, Standing


def require_admission(name: str, group: str, standing: Standing) -> None:
    """Nobody comes in on a guess.

    Raises:
        AskError: not a member, or that cannot be told at the moment.
    """
    answers = (standing.account, standing.groups[group])
    if Answer.CANNOT_TELL in answers:
        raise AskError(*cannot_tell(name), "a name service gives no answer")
    if Answer.NO in answers:
        raise AskError(*not_a_member(name, group))

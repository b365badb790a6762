"""Replaces a refused credential so that the request can be sent again, and reports answers to the keeper."""

import re
from typing import Final

from proxy.clock import Clock
from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.errors import CredentialError, RepairDeclined
from proxy.gateway.call import Call
from proxy.gateway.outcomes import Outcomes
from proxy.gateway.refusal import Verdict
from proxy.gateway.relay import Relay
from proxy.gateway.tally import Tally

# A segment with a digit is taken for an id, unless it is the API's version: one operation is one place.
_ID: Final = re.compile(rb"(?<=/)(?!v[0-9]+(?:/|$))[^/]*[0-9][^/]*")
_LONGEST_PATH: Final = 256


class Repair:
    """Replaces a refused credential once per request, and counts the outcomes.

    Args:
        upstream: name of the upstream.
        keeper: keeper of its credential.
        wait: seconds that a request may wait for a new credential.
        outcomes: is told what the answers say about the upstream.
    """

    def __init__(
        self,
        upstream: str,
        keeper: Keeper,
        wait: float,
        clock: Clock,
        tally: Tally,
        outcomes: Outcomes,
    ) -> None:
        self._outcomes = outcomes
        self._watch = outcomes.watch
        self._upstream = upstream
        self._keeper = keeper
        self._wait = wait
        self._clock = clock
        self._tally = tally

    async def replaced(self, call: Call, relay: Relay, used: Credential) -> bool:
        """Replace the refused credential; return whether the request can be sent again.

        Raises:
            CredentialRejected, CredentialUnavailable: it was refused, and there is no new one to be had.
        """
        replayable = call.upload is None or call.upload.replayable
        suspected = relay.verdict is Verdict.SUSPECTED
        begun = self._clock.now()
        try:
            wait = self._wait if replayable else 0.0
            await self._keeper.replace(used, wait, suspected=suspected, place=self._place(call))
        except RepairDeclined as declined:
            self._tally.repairs[declined.outcome] += 1
            return False
        except CredentialError:
            if not replayable:  # the next request will have the new credential
                self._tally.repairs["not_replayable"] += 1
                return False
            self._tally.repairs["no_credential"] += 1
            raise
        finally:
            call.waited += self._clock.now() - begun
        if call.upload is not None and not call.upload.replayable:
            self._tally.repairs["not_replayable"] += 1
            return False
        call.repaired = True
        return True

    def learn(self, call: Call, relay: Relay, used: Credential | None) -> None:
        """Report an answer that was forwarded: what it says about the credential of its request."""
        if relay.verdict is not Verdict.PASSES:
            if call.repaired and used is not None:
                self._tally.repairs["refused_again"] += 1
                if relay.verdict is Verdict.REFUSED:  # then a 403 without a reason is about permission
                    self._keeper.refused_again(self._place(call))
            if used is not None and relay.verdict is Verdict.REFUSED:
                self._outcomes.refused(call, relay, used)
            elif self._watch.pending:
                self._outcomes.answered(relay, credential=False)
            return
        if self._watch.pending:
            self._outcomes.answered(relay, credential=used is not None)
        if call.repaired:
            self._tally.repairs["ok"] += 1
        if used is None:
            return
        if self._keeper.wants_answers:
            if self._keeper.doubtful:
                self._keeper.note_accepted(used, self._place(call), repaired=call.repaired)
            else:
                self._keeper.note_accepted(used)
        if relay.session is not None and relay.session_fields:
            self._keeper.note_session_fields(used, relay.session_fields)

    def _place(self, call: Call) -> tuple[str, bytes]:
        """The place that its answer comes from (`repairs.Place`)."""
        path = call.head.target.partition(b"?")[0][:_LONGEST_PATH]
        return self._upstream, call.head.method + b" " + _ID.sub(b"#", path)

"""The scopes, and the one table that says which endpoint asks for which of them."""

from __future__ import annotations

from typing import NamedTuple

SCOPES = {
    "ingest": "post transactions",
    "read": "read rows and models, and see the results pages",
    "review": "give verdicts, and ask what became of them",
    "models": "promote and roll back models, name a shadow or a canary, put dead letters back",
    "unmask": "see personal data where it is masked; each look is in the audit",
    "admin": "everything",
}
"""Every scope, and what it allows."""

OPEN = ""
"""In place of a scope: for everybody, also without a key."""

API = {
    "transactions.post_one": "ingest",
    "transactions.post_batch": "ingest",
    "rows.get_one": "read",  # and unmask, where that is asked for
    "rows.get_many": "read",
    "stream.stream": "read",
    "feedback.post_feedback": "review",  # and ingest, where whole transactions come along
    "feedback.get_feedback": "review",
    "models.get_many": "read",
    "models.get_one": "read",
    "models.promote": "models",
    "models.rollback": "models",
    "shadow.start": "models",
    "shadow.stop": "models",
    "shadow.compare": "read",
    "canary.start": "models",
    "canary.stop": "models",
    "canary.compare": "read",
    "ops.healthz": OPEN,
    "ops.readyz": OPEN,
    "ops.metrics": OPEN,
    "ops.openapi": OPEN,
    "ops.docs": OPEN,
    "ops.static": OPEN,
    "compat.post_transaction": "ingest",
    "compat.get_transaction__id_transaction_id_": "read",
    "compat.post_predict": "ingest",
    "compat.post_predict_batch": "ingest",
    "compat.post_update": "ingest",  # and review
    "compat.post_api_v1_detect": "ingest",
    "compat.get_api_v1_models": "read",
    "compat.post_api_v1_models_train": "models",
    "compat.get_api_v1_models_jobs__job_": "models",
    "compat.get_api_v1_metrics": OPEN,
    "compat.get_api_v1_health": OPEN,
    "compat.get_health": OPEN,
    "compat.get_": OPEN,
}
"""The API's endpoints, by the names that Flask gives them. One that is missing is closed."""

DASHBOARD = {
    "views.live": "read",
    "views.rows": "read",
    "views.transaction": "read",
    "views.unmasked": "unmask",
    "views.verdict": "review",
    "transactions.search": "read",
    "review.queue": "review",
    "review.move": "review",
    "review.verdict": "review",
    "review.undo": "review",
    "review.snooze": "review",
    "review.note": "review",
    "review.tag": "review",
    "review.assign": "review",
    "review_list.page": "review",
    "review_list.bulk": "review",
    "review_figures.page": "review",
    "transactions.reasons": "read",
    "transactions.around": "read",
    "transactions.again": "review",  # it takes a core for a while
    "transactions.export": "read",  # and unmask, where that is asked for
    "views.pipeline": "read",
    "pipeline.now": "read",
    "pipeline.reconcile": "models",
    "views.healthz": OPEN,
    "stream.events": "read",
    "threshold.page": "read",
    "threshold.apply": "models",
    "threshold.undo": "models",
    "models.page": "read",
    "models.state": "read",
    "models.live": "read",
    "models.drift_over_time": "read",
    "models.compared": "read",
    "models.verdicts": "read",
    "model_orders.promote": "models",
    "model_orders.rollback": "models",
    "model_orders.shadow": "models",
    "model_orders.canary": "models",
    "model_orders.train": "models",
    "model_orders.cancel": "models",
    "models.train_state": "read",
    "batch.page": "ingest",
    "batch.upload": "ingest",
    "batch.one": "ingest",
    "batch.progress": "ingest",
    "batch.start": "ingest",
    "batch.stop": "ingest",
    "batch.delete": "ingest",
    "batch.download": "ingest",
    "try_one.page": "read",
    "try_one.score": "read",
    "dead_letters.page": "read",
    "dead_letters.now": "read",
    "dead_letters.group": "read",
    "dead_letters.letter": "read",
    "dead_letters.unmasked": "unmask",
    "letter_mend.check": "models",
    "letter_mend.edited": "models",
    "letter_acts.job": "read",
    "letter_acts.by_filter": "models",
    "letter_acts.group": "models",
    "letter_acts.letter": "models",
    "letter_acts.resolve": "models",
    "letter_acts.reopen": "models",
    "alerts.page": "read",
    "alerts.now": "read",
    "alerts.one": "read",
    "alerts.one_now": "read",
    "alerts.test": "models",
    "alerts.resend": "models",
    "alerts.mute": "models",
    "alerts.unmute": "models",
    "rules.page": "read",
    "rules.backtest": "models",
    "rules.apply": "models",
    "rules.reject": "models",
    "rules.discard": "models",
    "rules.begin": "models",
    "rules_editing.rule": "models",
    "rules_editing.save_rule": "models",
    "rules_editing.switch": "models",
    "rules_editing.delete": "models",
    "rules_editing.new_list": "models",
    "rules_editing.delete_list": "models",
    "rules_editing.add_entries": "models",
    "rules_editing.remove_entries": "models",
    "rules_editing.suppress": "models",
    "rules_editing.unsuppress": "models",
    "sign_in.page": OPEN,
    "sign_in.enter": OPEN,
    "sign_in.leave": OPEN,
    "language.choose": OPEN,
    "oidc.begin": OPEN,
    "oidc.finish": OPEN,
    "static": OPEN,
}
"""The same for the results pages."""


class Principal(NamedTuple):
    """Who asks. The name is empty where nobody has to say who he is; then all is allowed.

    `rate`: how many transactions, verdicts and other requests a second a worker takes; 0: any.
    """

    name: str
    scopes: frozenset[str]
    rate: int = 0

    def may(self, scope: str) -> bool:
        """Whether this scope is allowed."""
        return scope == OPEN or scope in self.scopes or "admin" in self.scopes


ANYBODY = Principal("", frozenset(SCOPES) - {"unmask", "admin"})
"""Whoever comes in where no key is asked for: all but what the audit needs a name for."""

NOBODY = Principal("", frozenset())
"""Who needs no scope, because the endpoint is open."""

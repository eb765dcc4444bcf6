"""A weekly retraining by Airflow 3: copy this file into its DAGs folder.

Unpaused, it runs at once for the Sunday before: `catchup=False` leaves out missed runs but the
newest.

TIDEGATE_COMMAND says how a worker calls Tidegate: `tidegate` (default), or `docker compose run --rm
-T tools`. Its settings (TIDEGATE_KAFKA, TIDEGATE_DB, TIDEGATE_PROFILE) come from the worker's
environment.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

TIDEGATE = os.environ.get("TIDEGATE_COMMAND", "tidegate")
CHAMPION_STAYS = (
    3  # exit code; 65 is bad data, which fails the task, and an operator should look at it
)

with DAG(
    "tidegate_retrain",
    description="Check new data, train a challenger, promote it only if it is better",
    schedule="0 2 * * 0",
    start_date=datetime(2026, 1, 4, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"execution_timeout": timedelta(hours=6)},
    tags=["tidegate"],
):
    retrain = BashOperator(
        task_id="retrain",
        bash_command=f"{TIDEGATE} retrain --json",
        append_env=True,
        skip_on_exit_code=CHAMPION_STAYS,
    )
    quality = BashOperator(
        task_id="quality",
        bash_command=f"{TIDEGATE} quality --json",
        append_env=True,
        trigger_rule="none_failed",
    )
    retrain >> quality

"""`tidegate rules`: what people add to the models' scores, as one document."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note, typist
from cli.keys import moment
from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    ProfileOption,
    print_json,
    settings_with,
    typeable,
)
from tidegate.words import count

if TYPE_CHECKING:
    from model.policy.backtest import Backtest, Counts
    from tidegate.broker.ports import Broker
    from tidegate.messages.policy import Policy
    from tidegate.profile import Profile
    from tidegate.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Show, try and apply rules, lists and thresholds.")
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy as YAML or JSON; `rules show` prints one.")
]
Unmask = Annotated[
    bool, typer.Option("--unmask", help="With what is masked; the audit is told who did it.")
]
Days = Annotated[int, typer.Option("--days", min=1, max=3660, help="Rows of the last N days.")]
MostRows = Annotated[
    int, typer.Option("--rows", min=1, max=1_000_000, help="At most so many, the newest.")
]
_DAY_US = 86_400_000_000


@app.command()
def show(
    unmask: Unmask = False,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Print the policy in force, as a file that `rules apply` takes; personal values on lists and
    in suppressions are masked, and `rules apply` takes no masks.

    Example: [bold]tidegate rules show --unmask > policy.yaml[/bold]
    """
    import msgspec

    from model.bundles.policies import current_policy, in_force
    from model.policy.document import policy_text
    from model.policy.personal import masked

    settings, loaded, broker = _system(profile, kafka, db)
    policy = in_force(loaded, current_policy(broker, loaded.hash.decode()))
    version, shown = policy.version, policy if unmask else masked(policy, loaded)
    if unmask:
        note(settings, "policy unmasked", version)
    if as_json:
        print_json({"version": version, "policy": msgspec.to_builtins(shown)})
    else:
        typer.echo(f"# version {version}\n{policy_text(shown)}", nl=False)


@app.command()
def check(file: File, profile: ProfileOption = "") -> None:
    """Say whether a policy can decide transactions of the profile, and if not, all that is wrong.

    Exit code 78 if it cannot.

    Example: [bold]tidegate rules check policy.yaml[/bold]
    """
    from tidegate.profile import load_profile

    loaded = load_profile(settings_with(profile=profile).profile)
    policy = _checked(file, loaded)
    typer.echo(
        f"{file}: {count(len(policy.rules), 'rule')}, {count(len(policy.lists), 'list')}, "
        f"{count(len(policy.suppressions), 'suppression')}; version {policy.version}, "
        f"{policy.size:,} bytes"
    )


@app.command(name="backtest")
def backtest_(
    file: File,
    days: Days = 7,
    rows: MostRows = 50_000,
    profile: ProfileOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Try a policy on the rows of the last days: what it would have caught, and whom it would have
    blocked, by the verdicts there are.

    Example: [bold]tidegate rules backtest policy.yaml --days 30[/bold]
    """
    import msgspec

    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, db=db)
    loaded = load_profile(settings.profile)
    result = _tried(_checked(file, loaded), loaded, settings, days, rows)
    if as_json:
        print_json(msgspec.to_builtins(result))
    else:
        typer.echo("\n".join(lines(result)))


@app.command()
def apply(
    file: File,
    days: Days = 7,
    rows: MostRows = 50_000,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
) -> None:
    """Bring a policy into force, after its backtest is shown. Scorers switch between two batches.

    With TIDEGATE_FOUR_EYES it becomes a proposal, for somebody else to apply on the page Rules.

    Example: [bold]tidegate rules apply policy.yaml[/bold]
    """
    settings, loaded, broker = _system(profile, kafka, db)
    policy = _checked(file, loaded)
    result = _tried(policy, loaded, settings, days, rows)
    typer.echo("\n".join(lines(result)))
    typer.echo(bring(settings, loaded, broker, policy, result))


@app.command()
def history(
    profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False
) -> None:
    """Show which policies were in force, since when and by whom, oldest first.

    Example: [bold]tidegate rules history[/bold]
    """
    from model.bundles.past_policies import Policies

    _, loaded, broker = _system(profile, kafka, "")
    versions = [
        {
            "at": moment(applied.applied_us),
            "version": applied.version,
            "by": applied.by,
            "proposed_by": applied.proposed_by,
            "rules": applied.rules,
            "lists": applied.lists,
        }
        for applied in Policies(broker, loaded).history()
    ]
    if as_json:
        print_json(versions)
        return
    for one in versions:
        wrote = f", written by {one['proposed_by']}" if one["proposed_by"] else ""
        typer.echo(
            f"{one['at']}  {one['version']}  {one['rules']} rules, {one['lists']} lists, "
            f"by {one['by']}{wrote}"
        )
    if not versions:
        typer.echo("nothing yet: the rules of the profile, if it has any, are in force")


def bring(
    settings: Settings,
    profile: Profile,
    broker: Broker,
    policy: Policy,
    result: Backtest | None = None,
) -> str:
    """Apply a policy, or propose it where that takes four eyes; what came of it, in words.

    Raises PolicyFault, ConfigError, Retry.
    """
    from model.bundles.policies import current_policy, in_force, publish_policy
    from model.policy.admission import admitted
    from model.policy.personal import stored

    policy = stored(policy, profile)  # one that came into force long ago may hold plain values
    admitted(policy, profile)
    before = in_force(profile, current_policy(broker, profile.hash.decode()))
    if before.version == policy.version:
        return f"policy {policy.version} is in force already"
    if settings.four_eyes:
        from db.policies.proposals import Proposals
        from model.bundles.past_policies import Policies

        came_into_force = Policies(broker, profile).applied_since
        proposals = Proposals(settings.db_url, profile.hash.decode(), came_into_force)
        try:
            note(settings, "policy proposed", policy.version, instead_of=before.version)
            proposals.discard(typist())  # it would go on from the version that it began with
            draft = proposals.write_draft(typist(), policy, before.version)
            if result:
                proposals.keep_backtest(draft.id, result)
            proposals.decide(draft, "proposed", "")
        finally:
            proposals.close()
        return typeable(
            f"policy {policy.version} is proposed: somebody else applies it on the page Rules"
        )
    note(settings, "policy applied", policy.version, instead_of=before.version)
    publish_policy(broker, profile, policy, by=typist(), instead_of=before.version)
    return f"policy {policy.version} is in force instead of {before.version}"


def lines(result: Backtest) -> list[str]:
    """A backtest as a table."""
    if not result.rows:
        return ["no rows of these days: nothing to try it on"]
    told = [
        f"{count(result.rows, 'row')} from {moment(result.since_us)} to {moment(result.until_us)}, "
        f"{count(result.verdicts, 'verdict')}; {count(result.changed, 'decision')} would differ",
        "",
        f"{'':<22}{'review':>9}{'block':>9}{'caught':>9}{'missed':>9}{'blocked good':>14}",
        *(
            f"{name:<22}{each.review:>9,}{each.block:>9,}{each.frauds_caught:>9,}"
            f"{each.frauds_missed:>9,}{each.good_blocked:>14,}"
            for name, each in _totals(result)
        ),
    ]
    if result.unknown:
        told.append(
            f"{count(result.unknown, 'row')} tried with the models' decisions of then: the bundle "
            "with their thresholds is not here"
        )
    if result.parts:
        told += [
            "",
            f"{'rule':<22}{'action':>9}{'hits':>9}{'frauds':>9}{'good':>9}{'with model':>14}"
            f"{'changed':>9}",
        ]
    return told + [
        f"{part.name:<22}{part.action:>9}{part.hits:>9,}{part.frauds:>9,}{part.legitimate:>9,}"
        f"{part.with_model:>14,}{part.changed:>9,}"
        for part in result.parts
    ]


def _totals(result: Backtest) -> list[tuple[str, Counts]]:
    return [
        ("as it was decided", result.before),
        ("by the models alone", result.models),
        ("by this policy", result.after),
    ]


def _tried(policy: Policy, profile: Profile, settings: Settings, days: int, rows: int) -> Backtest:
    from db.migrate import migrate
    from db.policies.past import past_rows
    from model.bundles.own_thresholds import thresholds_of
    from model.policy.admission import admitted
    from model.policy.backtest import backtest

    migrate(settings.db_migrate_url)
    since_us = time.time_ns() // 1000 - days * _DAY_US
    past = past_rows(settings.db_url, profile, since_us, rows)
    own = thresholds_of(settings.bundles_dir, set(past.bundles.tolist()))
    return backtest(admitted(policy, profile), past, own)


def _checked(file: Path, profile: Profile) -> Policy:
    """Raises ConfigError."""
    from model.policy.admission import admitted
    from model.policy.document import read_policy
    from model.policy.personal import stored
    from tidegate.errors import ConfigError

    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    policy = stored(read_policy(text), profile)
    admitted(policy, profile)
    return policy


def _system(profile: str, kafka: str, db: str) -> tuple[Settings, Profile, Broker]:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    return settings, loaded, broker

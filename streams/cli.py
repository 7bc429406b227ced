"""The command line. Each command imports the one function that does its work, so that `--help` stays fast.

Every such function takes the settings first, then the command's arguments by name; it returns an exit status or
None, and raises `EmberwatchError` for what the person can put right.
"""

import gc
import importlib
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from streams.errors import EmberwatchError
from streams.settings import FILE_VARIABLE, Settings, load_settings

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)

FEEDBACK_WORDS = ("acknowledge", "confirm", "dismiss", "snooze", "mute", "escalate", "resolve", "link_claim", "merge")
AUDITED = (
    *("view", "reveal", "export", "why", "feedback", "deletion", "erasure", "configuration", "claims", "crisis"),
    *("login", "login_refused"),
)
GC_THRESHOLDS = (10_000, 20, 200)
"""Objects that came after which the youngest are searched for cycles, and so many such searches until the next older
are: all of them after forty million."""

OUTCOME_WORDS = ("note", "removed", "labelled", "no_breach", "other")


def main() -> None:
    """Entry point of `emberwatch`."""
    try:
        status = emberwatch.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EmberwatchError as error:
        click.echo(f"emberwatch: {error}", err=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (`| head`) has seen enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _run(module: str, function: str = "run", **arguments: Any) -> int | None:
    """Load the settings, start the logs, and call one function of one module."""
    settings = _settings()
    _multiply_in_one_thread()
    command = getattr(importlib.import_module(module), function)
    _search_seldom_for_cycles()
    status: int | None = command(settings, **arguments)
    return status


def _multiply_in_one_thread() -> None:
    """Let numpy multiply in one thread, unless the environment says otherwise; it looks there when it is imported.

    The products of a fold are small. Threads wait for each other longer than they compute, and spin meanwhile: two of
    them made the fold a third slower, and took twice the processor from the scorers beside it.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _search_seldom_for_cycles() -> None:
    """Let the garbage collector look at young objects only, nearly always.

    What a fold keeps are millions of objects without a cycle: each search through all of them would hold the fold, for
    seconds where tens of thousands of micro-clusters live, and find nothing. It took a quarter of the fold's time.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _settings() -> Settings:
    from streams import log

    logging.basicConfig(format="emberwatch: %(message)s", level=logging.WARNING)
    settings = load_settings()
    log.set_up(settings)
    return settings


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
First steps:
  emberwatch demo                                  see it work on a bundled story, in this terminal
  emberwatch replay posts.jsonl.gz --out out       run it over a file of posts, without a broker
  emberwatch why ALERT_ID --out out                ask why an alert of that run fired
\b
Against a Kafka broker (EMBERWATCH_BROKER=host:port, `emberwatch settings` lists all variables):
  emberwatch topics create                         make the topics, once
  emberwatch worker score                          start as many as you need,
  emberwatch worker monitor                        and one of these a shard
  emberwatch publish posts.jsonl.gz --speed 60     play a file, sixty times as fast as it was
  emberwatch alerts --follow                       watch alerts come out
""",
)
@click.option(
    "--settings",
    "settings_file",
    type=EXISTING_FILE,
    help=f"TOML file of settings (or {FILE_VARIABLE}); EMBERWATCH_* variables win over it.",
)
@click.version_option(None, "--version", package_name="emberwatch", message="%(prog)s %(version)s")
def emberwatch(settings_file: Path | None) -> None:
    """Catch fast-spreading false narratives and incitement in a stream of public posts.

    Posts come in on Kafka; alerts come out, each with the reasons why. An alert is an indicator for people to
    judge: nothing here decides what is illegal, takes anything down, or ranks a person.
    """
    if settings_file is not None:
        os.environ[FILE_VARIABLE] = str(settings_file)


@emberwatch.command(
    epilog="""\b
Examples:
  emberwatch replay monday.jsonl.gz tuesday.jsonl.gz --claims factchecks.jsonl.gz --out out
  emberwatch journal export --out journal.jsonl.gz
  emberwatch replay journal.jsonl.gz --config stricter.toml --out out-stricter      # a backtest
\b
Into the folder go alerts.jsonl, alert-history.jsonl, narratives.jsonl, assignments.jsonl, dead-letters.jsonl
and manifest.json. A row of posts: post_id, platform, created_at, author_id, text, and what else is known.
"""
)
@click.argument("files", nargs=-1, required=True, type=EXISTING_FILE, metavar="FILE...")
@click.option("--claims", multiple=True, type=EXISTING_FILE, help="Fact-checks (ClaimReview, JSONL); known first.")
@click.option("--config", type=EXISTING_FILE, help="Policy and parameters (TOML); replaces those of a journal.")
@click.option("--out", required=True, type=NEW_FOLDER, help="Folder for what comes out.")
def replay(files: tuple[Path, ...], claims: tuple[Path, ...], config: Path | None, out: Path) -> int | None:
    """Run over files of posts, or over an exported journal, without a broker."""
    return _run("streams.replay_command", files=files, claims=claims, config=config, out=out)


@emberwatch.command()
@click.argument("first", type=EXISTING_FOLDER)
@click.argument("second", type=EXISTING_FOLDER)
@click.option("--lateness", "lateness_s", type=float, help="Seconds that partners may open apart (default 120).")
def compare(first: Path, second: Path, lateness_s: float | None) -> int | None:
    """Tell whether two replays gave the same alerts in substance: same kinds, same posts, same time."""
    return _run("streams.compare_command", first=first, second=second, lateness_s=lateness_s)


@emberwatch.command()
@click.argument("alert_id")
@click.option("--out", type=EXISTING_FOLDER, help="Folder of a replay; without it the broker is asked.")
def why(alert_id: str, out: Path | None) -> int | None:
    """Tell in words why an alert fired, and show its evidence."""
    return _run("streams.why_command", alert_id=alert_id, out=out)


@emberwatch.command(
    epilog="""\b
Examples:
  emberwatch plot a-8a76a669a9dec94b --from out --out story.png     # out: the folder of a replay
  emberwatch plot n-12d774122c48e325 --from journal.jsonl.gz --out story.png
  emberwatch plot --from out --out alerts.png                       # all alerts, a lane each
\b
A journal is folded again and knows what was expected in each minute; a folder only at each revision of the alert.
"""
)
@click.argument("wanted", required=False, metavar="[ALERT_ID|NARRATIVE_ID]")
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of a replay, or an exported journal.",
)
@click.option("--out", required=True, type=NEW_FILE, help="PNG file.")
def plot(wanted: str | None, source: Path, out: Path) -> int | None:
    """Draw a story: its counts, what was expected, the burst, forecasts and alert (needs the extra `plots`)."""
    return _run("streams.plot_command", wanted=wanted, source=source, out=out)


@emberwatch.command(
    epilog="""\b
Example:
  emberwatch score texts.jsonl --out scores.jsonl
\b
In: rows of `id` (or `post_id`) and `text`. Out: the id, `incitement` (a probability, 0 to 1), `classes` of the
taxonomy, `judged` (false in a language that the heads do not cover), `indicators` (the words that were found), `stance`
(support, deny, query, report, comment; 0 to 1 each) and `attitude` (the one to tell: not always the likeliest, as
questions and denials are rare).
"""
)
@click.argument("file", type=EXISTING_FILE)
@click.option("--out", required=True, type=NEW_FILE, help="JSONL file of scores (.gz by name).")
def score(file: Path, out: Path) -> int | None:
    """Score single texts, with the evidence for each score."""
    return _run("streams.score_command", file=file, out=out)


@emberwatch.command(
    epilog="""\b
Examples:
  emberwatch inject monday.jsonl.gz --out with-story.jsonl.gz --rate 6 --minutes 30 --seed 7
  emberwatch inject monday.jsonl.gz --out quiet.jsonl.gz --rate 1 --branching 0.2 --own-words 0.9 --texts story.txt
  emberwatch inject monday.jsonl.gz --out southport.jsonl.gz --rate 4 --large-accounts 3 --texts story.txt
  emberwatch inject --out drill.jsonl --at now --publish 1        # a drill on the broker, at its own pace
\b
Then `emberwatch replay with-story.jsonl.gz --out out` shows whether it is found; in the file, `gold.injection` marks
the posts that were put in. A file of texts holds the same story once a line, each time in other words.
"""
)
@click.argument("background", required=False, type=EXISTING_FILE)
@click.option("--out", required=True, type=NEW_FILE, help="JSONL file (.gz by name): the background with the cascade.")
@click.option("--rate", "rate_per_minute", type=float, help="Expected posts a minute, reactions included (6).")
@click.option("--minutes", type=float, help="How long it lasts (30).")
@click.option("--branching", "branching_factor", type=float, help="Further posts that each one causes (0.6).")
@click.option("--memory", type=click.Choice(["power_law", "exponential"]), help="How reactions fade (power_law).")
@click.option("--memory-s", type=float, help="Seconds of that memory (300).")
@click.option("--reshares", type=float, help="Share of reshares (0.7); shares that are not given divide the rest.")
@click.option("--copies", type=float, help="Share of near copies, with small edits and no link (0.1).")
@click.option("--own-words", type=float, help="Share of posts in own words, from the texts (0.15).")
@click.option("--questions", type=float, help="Share of replies that ask whether it is true (0.05).")
@click.option("--accounts", type=int, help="Number of accounts; each posts once before one posts twice (500).")
@click.option("--audience", type=int, help="Median followers of an account (400).")
@click.option("--large-accounts", type=int, help="Large accounts, which post first (0).")
@click.option("--large-audience", type=int, help="Their followers (150000).")
@click.option("--large-reactions", type=float, help="Direct reactions to each of their posts (15).")
@click.option("--texts", type=EXISTING_FILE, help="The story, one wording a line; without it, a harmless built-in one.")
@click.option("--question-texts", type=EXISTING_FILE, help="What doubters ask, one a line.")
@click.option("--at", help="Start, as RFC 3339 or `now`; without it the middle of the background.")
@click.option("--name", help="Name of the injection, which begins its posts' ids (injection-SEED).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same posts.")
@click.option("--platform", help="Platform of the posts (that of most of the background).")
@click.option("--lang", default="en", show_default=True, help="Language of the posts.")
@click.option("--publish", "speed", metavar="N|max", help="Play the result into the topic `posts` as well, so fast.")
def inject(
    background: Path | None,
    out: Path,
    texts: Path | None,
    question_texts: Path | None,
    at: str | None,
    name: str | None,
    seed: int,
    platform: str | None,
    lang: str,
    speed: str | None,
    **figures: Any,
) -> int | None:
    """Put a synthetic cascade of known rate and branching factor into real posts."""
    return _run(
        "streams.inject_command",
        background=background,
        out=out,
        texts=texts,
        question_texts=question_texts,
        at=at,
        name=name,
        seed=seed,
        platform=platform,
        lang=lang,
        speed=speed,
        figures=figures,
    )


@emberwatch.group()
def claims() -> None:
    """Published fact-checks: match texts with them, or publish them to the broker."""


@claims.command(name="match")
@click.argument("file", type=EXISTING_FILE)
@click.option("--claims", required=True, multiple=True, type=EXISTING_FILE, help="Fact-checks (ClaimReview, JSONL).")
@click.option("--out", required=True, type=NEW_FILE, help="JSONL file: each id with its five best claims.")
def claims_match(file: Path, claims: tuple[Path, ...], out: Path) -> int | None:
    """Find the fact-checked claims that texts repeat (rows of `id` and `text`)."""
    return _run("streams.claims_command", file=file, claims=claims, out=out)


@claims.command(name="publish")
@click.argument("file", type=EXISTING_FILE)
def claims_publish(file: Path) -> int | None:
    """Send fact-checks (ClaimReview, JSONL) to the topic `claims`."""
    return _run("streams.publish", "run_claims", file=file)


@emberwatch.group()
def train() -> None:
    """Fit the small heads that come with weights, on data that you point to."""


@train.command(name="incitement")
@click.option("--data", required=True, type=EXISTING_FOLDER, help="Folder of labelled data.")
@click.option("--out", type=NEW_FILE, help="File of weights (JSON); else one in EMBERWATCH_HEADS.")
@click.option(
    "--wording-only", is_flag=True, help="Fit a head that reads no vector: for any model, but it reaches less."
)
@click.option("--model", default="", help="Fit for this model (folder or name) instead of the configured one.")
@click.option(
    "--languages", default="en", show_default=True, help="Languages that the heads may judge (a multilingual model)."
)
def train_incitement(data: Path, out: Path | None, wording_only: bool, model: str, languages: str) -> int | None:
    """Fit and calibrate the incitement heads (needs the extra `train`)."""
    return _run(
        "streams.train_command",
        data=data,
        out=out,
        wording_only=wording_only,
        model=model,
        languages=_languages(languages),
    )


@train.command(name="stance")
@click.option("--data", required=True, type=EXISTING_FOLDER, help="Folder with labelled threads in `stance/`.")
@click.option("--out", type=NEW_FILE, help="File of weights (JSON); else one in EMBERWATCH_HEADS.")
@click.option("--model", default="", help="Fit for this model (folder or name) instead of the configured one.")
@click.option("--languages", default="en", show_default=True, help="Languages that the head may judge.")
def train_stance(data: Path, out: Path | None, model: str, languages: str) -> int | None:
    """Fit and calibrate the stance head (needs the extra `train`)."""
    return _run("streams.train_stance_command", data=data, out=out, model=model, languages=_languages(languages))


def _languages(given: str) -> tuple[str, ...]:
    """Codes of languages (ISO 639-1), separated by commas."""
    codes = tuple(dict.fromkeys(code.strip().lower() for code in given.split(",")))
    for code in codes:
        if not re.fullmatch(r"[a-z]{2,3}", code):
            raise click.BadParameter(f"{code!r} is no code of a language such as en or de", param_hint="--languages")
    return codes


@train.command(name="second-look")
@click.option("--data", required=True, type=EXISTING_FOLDER, help="Folder of labelled data.")
@click.option("--out", type=NEW_FOLDER, help="Folder for the deltas and the head; else EMBERWATCH_HEADS.")
@click.option("--passes", default=2.0, show_default=True, help="How often to go over the data.")
def train_second_look(data: Path, out: Path | None, passes: float) -> int | None:
    """Tune the sentence model itself for the second look at incitement (minutes; needs the extra `train`)."""
    return _run("streams.train_look_command", data=data, out=out, passes=passes)


@train.command(name="forecast")
@click.option("--data", required=True, type=EXISTING_FOLDER, help="Folder with archives of cascades in `cascades/`.")
@click.option("--out", required=True, type=NEW_FILE, help="File of weights (JSON).")
def train_forecast(data: Path, out: Path) -> int | None:
    """Fit and calibrate the forecast of final size (needs the extra `train`)."""
    return _run("streams.train_forecast_command", data=data, out=out)


@emberwatch.command()
@click.option("--out", required=True, type=NEW_FOLDER, help="Folder of the table, for EMBERWATCH_FAST_MODEL.")
def distill(out: Path) -> int | None:
    """Make the fast tier's table of the configured model, offline."""
    return _run("streams.distill_command", out=out)


@emberwatch.group()
def journal() -> None:
    """The ordered log from which every alert can be computed again."""


@journal.command(name="export")
@click.option("--out", required=True, type=NEW_FILE, help="JSONL file (.gz by name) that `replay` takes.")
def journal_export(out: Path) -> int | None:
    """Write the broker's journal to a file, up to where it is now."""
    return _run("streams.journal_file", "export", out=out)


@emberwatch.command(
    epilog="""\b
Examples:
  emberwatch publish posts.jsonl.gz                  as fast as it happened
  emberwatch publish posts.jsonl.gz --speed 60       an hour a minute
  emberwatch publish posts.jsonl.gz --speed max      as fast as the broker takes them
"""
)
@click.argument("file", type=EXISTING_FILE)
@click.option("--speed", default="1", show_default=True, metavar="N|max", help="Times the original pace.")
@click.option("--hash-authors", is_flag=True, help="Replace author ids by keyed hashes (EMBERWATCH_HASH_SALT).")
@click.option("--raw", is_flag=True, help="Send every line as it is, unchecked (to try out the dead letters).")
@click.option("--no-end", is_flag=True, help="Do not mark the end of the source: more will follow.")
def publish(file: Path, speed: str, hash_authors: bool, raw: bool, no_end: bool) -> int | None:
    """Play a file of posts (JSONL, .gz) into the topic `posts`."""
    return _run("streams.publish", file=file, speed=speed, hash_authors=hash_authors, raw=raw, end=not no_end)


@emberwatch.command()
@click.option("--follow", is_flag=True, help="Stay, and show each revision as it comes.")
@click.option("--json", "as_json", is_flag=True, help="One alert a line, as JSON.")
@click.option(
    "--severity", type=click.Choice(["watch", "notice", "page"]), help="Show alerts of this severity and above."
)
def alerts(follow: bool, as_json: bool, severity: str | None) -> int | None:
    """Show the alerts on the broker."""
    return _run("streams.subscriber", follow=follow, as_json=as_json, severity=severity)


@emberwatch.command()
@click.argument("alert_id")
@click.argument("word", type=click.Choice(FEEDBACK_WORDS + OUTCOME_WORDS), metavar="WORD")
@click.option("--by", help="Who says so (else the name of the user).")
@click.option("--note", help="A note in your own words.")
@click.option("--claim", metavar="CLAIM_ID", help="With link_claim: the fact-check that it repeats.")
@click.option("--into", metavar="ALERT_ID", help="With merge: the alert that it belongs to.")
@click.option("--until", help="With snooze: 90m, 24h, 3d or a time; else until its posts have doubled.")
def feedback(
    alert_id: str, word: str, by: str | None, note: str | None, claim: str | None, into: str | None, until: str | None
) -> int | None:
    """Say what you made of an alert: acknowledge, confirm, dismiss, resolve or note.

    What it sends from now on: snooze, mute or escalate. What belongs to it: link_claim or merge. What the trust team
    did: removed, labelled, no_breach or other.
    """
    return _run("streams.feedback", alert_id=alert_id, word=word, by=by, note=note, claim=claim, into=into, until=until)


@emberwatch.group()
def forget() -> None:
    """Deletions and erasures: what the monitor must forget."""


@forget.command(name="post")
@click.argument("post_id")
@click.option("--by", help="Who asks for it (else the name of the user).")
def forget_post(post_id: str, by: str | None) -> int | None:
    """Forget one post."""
    return _run("streams.forget", "run_post", post_id=post_id, by=by)


@forget.command(name="author")
@click.argument("author")
@click.option("--platform", help="AUTHOR is a name on this platform, and is hashed under every living salt.")
@click.option("--by", help="Who asks for it (else the name of the user).")
def forget_author(author: str, platform: str | None, by: str | None) -> int | None:
    """Forget everything of an author (a name with --platform, else an id as it stands in the records)."""
    return _run("streams.forget", "run_author", author=author, platform=platform, by=by)


@emberwatch.group(
    epilog="""\b
Examples:
  emberwatch crisis declare --why "riots expected after the attack" --scope lang=en --scope place=Southport \\
      --thresholds 50% --until 24h
  emberwatch crisis stand-down crisis-20260729-181500 --why "calm since Tuesday"
  emberwatch crisis report crisis-20260729-181500 --out report.md
"""
)
def crisis() -> None:
    """Lower thresholds for a time and a scope, and report what was done under it."""


@crisis.command(name="declare")
@click.option("--why", required=True, help="The reason, for the record and the report.")
@click.option("--until", required=True, help="A span (90m, 24h, 3d) or a time; nothing is declared without an end.")
@click.option(
    "--thresholds", default="50%", show_default=True, help="Thresholds under it, of the usual ones (25 to 100)."
)
@click.option(
    "--scope", multiple=True, metavar="KIND=VALUES", help="lang, platform, community or place; else everything."
)
@click.option("--id", "crisis_id", help="Its id (else one by the time); one that holds is changed.")
@click.option("--by", help="Who declares it (else the name of the user).")
def crisis_declare(
    why: str, until: str, thresholds: str, scope: tuple[str, ...], crisis_id: str | None, by: str | None
) -> int | None:
    """Declare a crisis."""
    return _run(
        "streams.crisis_command",
        "declare",
        crisis_id=crisis_id,
        why=why,
        by=by,
        scope=scope,
        thresholds=thresholds,
        until=until,
    )


@crisis.command(name="stand-down")
@click.argument("crisis_id")
@click.option("--why", required=True, help="The reason, for the record and the report.")
@click.option("--by", help="Who ends it (else the name of the user).")
def crisis_stand_down(crisis_id: str, why: str, by: str | None) -> int | None:
    """End a crisis before it expires."""
    return _run("streams.crisis_command", "stand_down", crisis_id=crisis_id, why=why, by=by)


@crisis.command(name="report")
@click.argument("crisis_id")
@click.option("--json", "as_json", is_flag=True, help="As JSON, not Markdown.")
@click.option("--out", type=NEW_FILE, help="Write to this file, not to the screen.")
def crisis_report(crisis_id: str, as_json: bool, out: Path | None) -> int | None:
    """Report all alerts and decisions under a crisis."""
    return _run("streams.crisis_command", "run_report", crisis_id=crisis_id, as_json=as_json, out=out)


@emberwatch.group()
def retention() -> None:
    """What is kept for how long."""


@retention.command(name="prove")
@click.option("--json", "as_json", is_flag=True, help="One topic a line, as JSON.")
def retention_prove(as_json: bool) -> int | None:
    """Show what each topic still holds and what is gone; exit 1 if anything is there that should not be."""
    return _run("streams.retention", as_json=as_json)


@emberwatch.command()
@click.option("--limit", "limit_s", type=float, help="Seconds beyond which the exit status is 1.")
@click.option("--json", "as_json", is_flag=True, help="One stage a line, as JSON.")
def lag(limit_s: float | None, as_json: bool) -> int | None:
    """Show how far each stage is behind, in records and seconds, without asking a worker."""
    return _run("streams.lag", as_json=as_json, limit_s=limit_s)


@emberwatch.command()
@click.option("--what", type=click.Choice(AUDITED), help="Only entries of this kind.")
@click.option("--by", help="Only those of one person.")
@click.option("--about", help="Only those about one narrative, alert or post.")
@click.option("--json", "as_json", is_flag=True, help="One entry a line, as JSON.")
def audit(what: str | None, by: str | None, about: str | None, as_json: bool) -> int | None:
    """Show who saw texts and who decided what."""
    return _run("streams.audit", what=what, by=by, about=about, as_json=as_json)


@emberwatch.group()
def topics() -> None:
    """The Kafka topics: make them, compare them with what they should be."""


@topics.command(name="create")
def topics_create() -> int | None:
    """Make the topics that are missing; those that exist stay as they are."""
    return _run("streams.topics", "run_create")


@topics.command(name="verify")
def topics_verify() -> int | None:
    """Compare partitions, retention and settings with the table; exit 1 if any differs."""
    return _run("streams.topics", "run_verify")


@emberwatch.group()
def config() -> None:
    """Policy and parameters: what decides an alert."""


@config.command(name="apply")
@click.argument("file", required=False, type=EXISTING_FILE)
def config_apply(file: Path | None) -> int | None:
    """Put a configuration (TOML; else EMBERWATCH_CONFIGURATION, else the defaults) in force."""
    return _run("streams.configuration", "apply", file=file)


@config.command(name="show")
@click.option("--defaults", is_flag=True, help="Show the defaults, not what is in force on the broker.")
def config_show(defaults: bool) -> int | None:
    """Print the configuration in force, as TOML that `apply` takes."""
    return _run("streams.configuration", "show", defaults=defaults)


@emberwatch.group(name="dead-letters")
def dead_letters() -> None:
    """Records that could not be used."""


@dead_letters.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One a line, as JSON.")
def dead_letters_list(as_json: bool) -> int | None:
    """Show them, with where each came from and what is wrong with it."""
    return _run("streams.dead_letters", "list_letters", as_json=as_json)


@emberwatch.group()
def worker() -> None:
    """The running parts: `score` (as many as you need) and `monitor` (one a shard)."""


@worker.command(name="score")
def worker_score() -> int | None:
    """Score posts and write them to the journal."""
    return _run("streams.score_worker")


@worker.command(name="monitor")
def worker_monitor() -> int | None:
    """Read the journal, follow narratives, publish alerts."""
    return _run("streams.monitor_worker")


@emberwatch.command()
def console() -> int | None:
    """Serve the pages of open alerts and narratives."""
    return _run("streams.console.server")


@emberwatch.command()
@click.option("--once", is_flag=True, help="End when the story is through; exit 0 only if exactly its pages came.")
def demo(once: bool) -> int | None:
    """See all of it at work on a bundled story: broker, workers, console, alerts. Ctrl-C ends it."""
    return _run("streams.demo", once=once)


@emberwatch.command(
    epilog="""\b
Examples:
  emberwatch bench narratives --data DATA --json figures.json
  emberwatch bench narratives --data DATA --peers          # others' software beside ours (`make peers` installs it)
  emberwatch bench sensitivity --data DATA --pictures out  # how small a story is found, and the curve of it
"""
)
@click.argument("name")
@click.option("--data", required=True, type=EXISTING_FOLDER, help="Folder of the corpora.")
@click.option("--json", "json_file", type=NEW_FILE, help="Write the figures to this file as well.")
@click.option("--pictures", type=NEW_FOLDER, help="Draw what can be drawn (PNG) into this folder.")
@click.option("--peers", is_flag=True, help="Run other people's software on the same data as well.")
def bench(name: str, data: Path, json_file: Path | None, pictures: Path | None, peers: bool) -> int | None:
    """Measure on real corpora (in a checkout); a name that is not known lists those that are, `all` runs each."""
    return _run("streams.bench_command", name=name, data=data, json_file=json_file, pictures=pictures, peers=peers)


@emberwatch.command(
    epilog="""\b
Examples:
  emberwatch load --rate 50 --rate 100            # latency at two rates, with the default model
  emberwatch load --find-knee --json knee.json    # up to which rate the workers keep up
  emberwatch load --day                           # what a day leaves in memory and on disk
"""
)
@click.option("--rate", "rates", type=click.FloatRange(min=0.1), multiple=True, help="Posts a second; again for more.")
@click.option("--seconds", type=click.FloatRange(min=1.0), default=30.0, show_default=True, help="How long each rate.")
@click.option("--find-knee", "to_knee", is_flag=True, help="Raise the rate until the workers fall behind.")
@click.option("--scorers", type=click.IntRange(min=1), default=1, show_default=True, help="Score workers.")
@click.option("--apache", is_flag=True, help="On Apache Kafka (`make kafka-install`), not the embedded broker.")
@click.option("--day", is_flag=True, help="Instead: fold a made-up day as fast as it goes; shows what is held.")
@click.option("--posts", type=click.IntRange(min=24), default=86_400, show_default=True, help="Posts of the day.")
@click.option("--hours", type=click.IntRange(min=1), default=24, show_default=True, help="Length of the day.")
@click.option(
    "--horizon-hours", type=click.FloatRange(min=0.0), default=0.0, help="Remember posts and wordings for so long only."
)
@click.option("--json", "json_file", type=NEW_FILE, help="Write the figures to this file as well.")
def load(
    rates: tuple[float, ...],
    seconds: float,
    to_knee: bool,
    scorers: int,
    apache: bool,
    day: bool,
    posts: int,
    hours: int,
    horizon_hours: float,
    json_file: Path | None,
) -> int | None:
    """Put a load on a broker and workers of its own, and measure latency and the rate that they bear."""
    if day:
        return _run(
            "streams.load_command",
            "run_day_of",
            posts=posts,
            hours=hours,
            horizon_hours=horizon_hours,
            json_file=json_file,
        )
    return _run(
        "streams.load_command",
        rates=rates or (50.0,),
        seconds=seconds,
        to_knee=to_knee,
        scorers=scorers,
        apache=apache,
        json_file=json_file,
    )


@emberwatch.group()
def broker() -> None:
    """The embedded broker: Kafka-compatible, in memory, for first runs and tests."""


@broker.command(name="start")
@click.option("--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="0 takes a free one.")
def broker_start(port: int) -> int | None:
    """Run it in the foreground until Ctrl-C. What it holds is gone then."""
    return _run("streams.embedded_broker", port=port)


@emberwatch.group()
def kafka() -> None:
    """A real Apache Kafka on this machine (Java 17 or later)."""


@kafka.command(name="install")
def kafka_install() -> int | None:
    """Fetch its jars with Maven into the cache folder."""
    return _run("streams.apache_kafka", "run_install")


@kafka.command(name="start")
@click.option("--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="0 takes a free one.")
@click.option("--fresh", is_flag=True, help="Forget what an earlier run has kept.")
@click.option(
    "--secure", type=NEW_FOLDER, help="With TLS, users and access rules; the (new) folder gets each role's variables."
)
def kafka_start(port: int, fresh: bool, secure: Path | None) -> int | None:
    """Run one node in the foreground until Ctrl-C. What it holds is kept for the next start, unless it is secure."""
    if secure is not None:
        return _run("streams.secure_kafka", "run_start", port=port, folder=secure)
    return _run("streams.apache_kafka", "run_start", port=port, fresh=fresh)


@emberwatch.group()
def acls() -> None:
    """Access rules on the broker: one user a role, each with the least that it needs."""


@acls.command(name="print")
def acls_print() -> int | None:
    """Print them as commands for kafka-acls.sh."""
    return _run("streams.acls", "run_print")


@acls.command(name="apply")
def acls_apply() -> int | None:
    """Make them; those that are there stay."""
    return _run("streams.acls", "run_apply")


@acls.command(name="verify")
def acls_verify() -> int | None:
    """Compare the broker's rules with the table; exit 1 if any is missing or too many."""
    return _run("streams.acls", "run_verify")


@emberwatch.command()
def settings() -> int | None:
    """List every EMBERWATCH_* variable with what it is set to."""
    return _run("streams.settings_command")


if __name__ == "__main__":
    main()

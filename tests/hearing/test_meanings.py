import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.hearing import meanings
from reports.models import Statement


@pytest.mark.parametrize(
    ("status", "text", "meaning"),
    [
        ("investigating", "We are looking into it.", "acknowledged"),
        ("identified", "The issue has been identified.", "acknowledged"),
        ("monitoring", "A fix has been implemented and we are monitoring the results.", "update"),
        ("resolved", "This incident has been resolved.", "restored"),
        ("Resolved", "This incident has been resolved.", "restored"),
        ("resolved", "The issue is partially resolved.", "update"),
        ("resolved", "This was a false alarm.", "denied"),
        ("investigating", "There are no issues with calls.", "acknowledged"),
        ("postmortem", "What went wrong.", "update"),
        ("something new", "Whatever.", "update"),
        ("", "This incident has been resolved.", "update"),
    ],
)
def test_a_status_is_taken_at_its_word_and_its_text_can_only_weaken_it(status: str, text: str, meaning: str) -> None:
    assert meanings.of_status(status, text) == meaning


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Login problems", "This incident has been resolved."),
        ("[RESOLVED] Login problems", "Users could not log in between 12:00 and 13:00."),
        ("Resolved: login problems", "We have fixed it."),
        ("Login problems (Resolved)", ""),
        ("RESOLVED", "All is well."),
        ("Login", "The issue has now been fully resolved. We apologise."),
        ("Login", "All systems are now operational."),
        ("Login", "The service is back to normal."),
    ],
)
def test_restored_is_what_says_so_in_so_many_words(title: str, text: str) -> None:
    assert meanings.of_words(title, text) == "restored"


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Login problems", "This incident has not been resolved."),
        ("Login problems", "The issue should be resolved soon."),
        ("Login problems", "We expect that the issue is resolved by noon."),
        ("Login problems", "The issue has been resolved for most users."),
        ("Login problems", "The issue has been resolved. Some users may still see errors."),
        ("Login problems", "We will let you know when the issue has been resolved."),
        ("Login problems", "Is the issue resolved?"),
        ("Login problems", "The issue is being fixed."),
        ("Login problems", "The issue is unresolved."),
        ("Login problems", "The issue isn't resolved."),
        ("Login problems", "The problem has been resolved in part."),
        ("Login problems", "A previous issue has been resolved."),
        ("Login problems", "An unrelated issue was resolved."),
        ("Unresolved: login problems", "We go on."),
        ("Partially resolved: login", "We go on."),
        ("[RESOLVED] Login problems", "The problem has returned."),
        ("Resolved for some", "Others still wait."),
        ("Login problems", "Wir haben das Problem behoben."),
        ("Login problems", "Service is recovering."),
        ("Login problems", "We monitor whether access is restored."),
    ],
)
def test_what_takes_it_back_or_puts_it_off_is_never_restored(title: str, text: str) -> None:
    assert meanings.of_words(title, text) != "restored"


@pytest.mark.parametrize(
    "text",
    [
        "We are investigating reports of errors.",
        "We are aware of a problem with calls.",
        "Users are unable to log in.",
        "We have identified the cause.",
        "Degraded performance of the API.",
    ],
)
def test_what_admits_a_fault_acknowledges_it(text: str) -> None:
    assert meanings.of_words("Update", text) == "acknowledged"


@pytest.mark.parametrize(
    "text",
    [
        "There is no outage of our service.",
        "This was a false positive of our monitoring.",
        "We are not currently experiencing any issues.",
        "Our services are not experiencing an outage or any issues. We see no problems.",
        "All services operated normally throughout.",
    ],
)
def test_a_denial_is_none_of_these(text: str) -> None:
    assert meanings.of_words("About the reports", text) == "denied"


def test_announced_work_is_no_outage() -> None:
    assert meanings.planned("scheduled")
    assert meanings.planned("In progress")
    assert meanings.planned("", "Scheduled maintenance of the network")
    assert not meanings.planned("investigating", "Messages are delayed")


@given(st.text(), st.text(), st.text())
def test_every_text_means_something(status: str, title: str, text: str) -> None:
    assert meanings.of_status(status, text) in Statement.Meaning.values
    assert meanings.of_words(title, text) in Statement.Meaning.values

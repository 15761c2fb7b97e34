"""GET /api/v1/calibration/"""

from tests.status.making import World


def test_calibration_says_how_confidences_were_kept(world: World, get):
    answer = get("calibration/").json()
    main = answer["suites"][0]
    assert main["suite"] == "doubtful"
    for when in ("opening", "later"):
        figures = main[when]
        assert sum(band["incidents"] for band in figures["bands"]) == figures["incidents"]
        assert all(band["least"] <= band["share"] <= band["most"] for band in figures["bands"])
    assert (answer["reviewed"], answer["enough_reviewed"], answer["shift"]) == (None, False, 0.0)

"""Every number that changes a result, in one place; ``docs/detection.md`` says where each comes from."""

from __future__ import annotations

from dataclasses import dataclass

WINDOWS = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 120)
"""Minutes of the windows that every cell with a new report is looked at through."""


@dataclass(frozen=True)
class Parameters:
    """Thresholds of the detector. Probabilities are log10 of a tail under the inflated null; times are minutes.

    Onset: ``clumping`` extra variance per report; ``null_inflation`` (leaf) and ``pool_null_inflation`` the factor on
    the expected count that a rise must also exceed; ``least_ratio`` observed / expected; ``leaf_log10`` for a cell on
    its own, ``pool_log10`` for a region with regions in it (half of it must remain without the parts that explain it);
    in windows up to ``burst_minutes`` both ask for ``burst_log10`` or ``pool_burst_log10`` more. ``joined_log10`` for a
    cell of a service all of whose other regions are down (see ``Opening._joining_bar``), from ``soon_minutes`` on a
    power of ten less every ``joining_minutes``; until then ``soon_reports`` suffice where ``soon_share`` are down.
    ``shared_log10`` for a cell where several services rise (pool at ``shared_pool_log10`` and ``shared_ratio``, under
    ``shared_null_inflation`` and ``shared_dispersion``); ``*_reports`` and ``*_networks`` are least counts,
    and n reports beyond normal need n ** ``network_spread`` networks beyond normal; a network is believed
    ``reports_per_network`` on average at most.
    ``young_*``: where less than ``young_minutes`` are known, the last minutes must exceed ``young_ratio`` times the two
    hours before at ``young_log10``.
    ``unknown_reports`` is the least count where no baseline exists. ``busy_*``: the ratio of the rest of a country to
    its expectation, shrunk by so many pseudo reports and believed up to so much.

    Onset: ``onset_reach`` minutes it is looked for backwards; ``onset_lead`` minutes that a region which joined at a
    lowered bar may have begun before the incident.

    ``pool_back_share``: the share of a pool's, or an incident's, reports whose regions must be back before it is;
    ``lingering_minutes`` without a change after which the few regions still unknown are given up with the incident.

    Slow factor: ``factor_*`` as in docs/detection.md (pseudo reports; bounds).

    Restoration, the courses of the reports: ``tail_minutes`` decay of late reports, with ``tails`` (and their weights)
    where the minute is estimated; ``steady_shares`` what a cell still down may go on with of its excess, with weights;
    ``fatigue`` the (decay time, share that goes on reporting) of the tiring crowds considered, ``ramps`` the minutes,
    with weights, in which reports may have risen before; ``kin_most`` the most (log) that other regions say about
    how this crowd tires; ``fading_most`` the probability of tiring up to which a fall is believed, ``cliff_evidence``
    (log) and ``cliff_age`` (minutes since the onset) from which a fall needs no such trust.

    Restoration, the odds: ``hazard_minutes`` mean length of an outage before anything is known; ``company_pseudo``
    regions that the rest of the incident counts for within a country, ``company_most`` the most (log) that regions
    which go on speak against this one; ``certainty`` (by reports), ``certainty_statement``, ``certainty_votes`` the
    probability needed to say restored; ``statement_quiet`` the share of the excess that people may still report when a
    provider is believed.

    Restoration, the minute: ``interval`` quantiles of low end, estimate and high end, ``interval_votes`` the low end
    where there are votes; ``not_later`` and ``not_later_votes`` the probability with which the truth must not lie
    more than ``early_minutes`` after the estimate; ``interval_slack`` minutes added at both ends (counts are per
    minute, and a bound is a whole minute).

    Votes: ``vote_minutes`` mean delay of a "works again", ``vote_shares`` the shares of reporters who may answer,
    ``wrong_votes`` the share who answer so while it is down (prior, worth ``wrong_votes_weight`` reports);
    ``voting_networks`` networks a report that votes must come from, between ``least_votes`` and ``least_networks``;
    at most ``voters_most`` votes a report are believed.

    Gaps: ``gap_expected`` reports that must have been due from a silent place, ``gap_late_share`` the share of the late
    reports of an end counted as due.
    """

    clumping: float = 0.15
    null_inflation: float = 1.5
    pool_null_inflation: float = 2.2
    busy_pseudo_reports: float = 3.0
    busy_most: float = 4.0
    joining_minutes: float = 40.0
    soon_reports: int = 2
    soon_share: float = 0.5
    soon_minutes: int = 20
    burst_log10: float = 1.0
    pool_burst_log10: float = 1.0
    burst_minutes: int = 8
    shared_null_inflation: float = 1.25
    shared_dispersion: float = 0.03
    least_ratio: float = 2.5
    leaf_log10: float = -6.5
    pool_log10: float = -6.0
    joined_log10: float = -2.0
    shared_log10: float = -4.5
    shared_pool_log10: float = -6.0
    leaf_reports: int = 5
    pool_reports: int = 6
    joined_reports: int = 3
    shared_reports: int = 3
    shared_ratio: float = 2.0
    unknown_reports: int = 15
    young_minutes: float = 4000.0
    young_ratio: float = 2.5
    young_log10: float = -4.0
    young_least_minutes: int = 30
    held_minutes: int = 360
    least_networks: int = 6
    joined_networks: int = 3
    network_spread: float = 0.45
    reports_per_network: float = 1.5
    pool_window: int = 60
    pool_back_share: float = 0.9
    shared_minutes: int = 45
    onset_reach: int = 60
    onset_lead: int = 10
    factor_pseudo_reports: float = 20.0
    factor_least: float = 0.6
    factor_most: float = 2.5
    outage_dispersion: float = 0.15
    tail_minutes: float = 6.0
    late_minutes: float = 10.0
    cooling_minutes: int = 120
    steady_shares: tuple[float, ...] = (1.0, 0.55, 0.3)
    steady_weights: tuple[float, ...] = (0.73, 0.22, 0.05)
    interval: tuple[float, float, float] = (0.015, 0.5, 0.98)
    interval_votes: float = 0.1
    not_later_votes: float = 0.99
    not_later: float = 0.975
    early_minutes: int = 10
    tails: tuple[float, ...] = (3.5, 6.0, 10.0)
    tail_weights: tuple[float, ...] = (0.25, 0.5, 0.25)
    company_pseudo: float = 3.0
    company_most: float = 3.0
    hazard_minutes: float = 90.0
    certainty: float = 0.87
    certainty_statement: float = 0.94
    certainty_votes: float = 0.99
    least_age: int = 8
    fatigue: tuple[tuple[float, float], ...] = (
        (100.0, 0.05),
        (50.0, 0.05),
        (50.0, 0.15),
        (25.0, 0.05),
        (25.0, 0.15),
        (12.0, 0.1),
    )
    ramps: tuple[float, ...] = (2.0, 40.0)
    ramp_weights: tuple[float, ...] = (0.8, 0.2)
    kin_most: float = 3.0
    fading_most: float = 0.05
    cliff_evidence: float = 6.0
    cliff_age: int = 25
    fatigue_prior: float = 0.5
    vote_minutes: float = 10.0
    vote_shares: tuple[float, ...] = (0.03, 0.08, 0.15, 0.3)
    vote_share_weights: tuple[float, ...] = (0.1, 0.3, 0.4, 0.2)
    wrong_votes: float = 0.02
    wrong_votes_weight: float = 50.0
    least_votes: int = 3
    voting_networks: float = 0.1
    voters_most: float = 0.5
    vote_window: int = 15
    interval_slack: tuple[int, int] = (1, 2)
    statement_weight: float = 5.0
    statement_quiet: float = 0.2
    statement_reach: float = 30.0
    silent_minutes: int = 90
    lively_minutes: int = 20
    forgotten_minutes: int = 240
    separate_minutes: int = 60
    echo_share: float = 0.055
    echo_share_sibling: float = 0.0455
    echo_relative: float = 0.15
    echo_patience: int = 8
    common_onset: int = 12
    common_overlap: float = 0.5
    common_services: int = 3
    settled_minutes: int = 30
    lingering_minutes: int = 60
    gap_expected: float = 12.0
    gap_late_share: float = 0.5

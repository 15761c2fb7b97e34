"""From an open region to its restoration, or to the admission that we do not know."""

from __future__ import annotations

import numpy as np

from reports.detection.decisions import (
    Basis,
    DecisionKind,
    FloatArray,
)
from reports.detection.onset import estimated_onset
from reports.detection.opening import Opening
from reports.detection.outage import KEPT, PEAK_MINUTES, Incident, Outage
from reports.detection.recent import SPAN
from reports.detection.restoration import Assessment, ability, assess, course_likelihood, fading_probability


class Following(Opening):
    """The part of a cycle that follows what is open."""

    def _follow(self, incident: Incident) -> None:
        minute = self._now
        open_regions = incident.open_regions()
        incident.voices = None
        incident.company = None
        for outage in open_regions:
            self._watch(incident, outage)
        self._look_again(incident)
        if any(o.state in ("down", "recovering") for o in open_regions):
            return
        unknown = [o for o in open_regions if o.state == "unknown"]
        if unknown and (
            minute - incident.last_change < self.parameters.lingering_minutes or not self._mostly_back(incident)
        ):
            return
        if minute - incident.last_change >= self.parameters.settled_minutes:
            for outage in unknown:
                self._end(incident, outage, "forgotten")
            self._resolve(incident)

    def _mostly_back(self, incident: Incident) -> bool:
        """Whether the regions that are back sent nearly all the reports: a few unknown ones keep no incident open."""
        regions = incident.regions.values()
        back = sum(o.total_reports for o in regions if o.restored is not None)
        return back >= self.parameters.pool_back_share * sum(o.total_reports for o in regions)

    def _watch(self, incident: Incident, outage: Outage) -> None:
        p, minute = self.parameters, self._now
        cell = self._cell(outage)
        row = int(self.recent.row_of[cell])
        count = 0.0
        if row >= 0:
            count = float(self.recent.counts[row, minute % SPAN])
        else:
            row = self._row(outage)
        deaf = self.gaps.is_blind(outage.region)
        outage.record(minute, count, self._votes.get(cell, 0.0), deaf)
        if deaf:
            outage.noticed += 1
            return
        if outage.state != "unknown":
            self.down[cell] = 1 if minute - outage.noticed <= p.lively_minutes else 2
        if minute - outage.detected < p.held_minutes:
            self._hold(outage)
        self._note_peak(incident, outage)
        usual = self.recent.course(row, minute, 60)
        lately = outage.recent(minute, 20)
        if lately > 2.0 * usual[-20:].sum() + 1.5:
            if outage.state == "unknown" and lately > 3.0 * usual[-20:].sum() + 4:
                if minute - outage.noticed >= p.separate_minutes:
                    # After such a silence this is no continuation that we could vouch for: let it open anew.
                    self._end(incident, outage, "forgotten")
                    return
                self._return(incident, outage)
            if outage.state != "unknown":
                outage.noticed = minute
        if minute - outage.detected == 10:
            self._refine_onset(incident, outage, row)
        if outage.declared is not None and minute - outage.declared < 3:
            return
        parts = self._parts(incident, outage)
        if parts:
            self._follow_sum(incident, outage, parts)
            if not any(o.state in ("down", "recovering") for o in parts):
                self._close_sum(incident, outage, parts, lately, float(usual[-20:].sum()))
            return
        if minute - outage.detected < 5 or minute - outage.onset < p.least_age:
            return
        self._judge(incident, outage, row, usual)

    def _parts(self, incident: Incident, pool: Outage) -> list[Outage]:
        """The outages of regions in a pool, ended ones too: they carry its outage, and their sum is not judged itself.

        Empty for a leaf, which is not asked about hundreds of others, and for a pool that went down as a whole.
        """
        if not self.tree.has_children[pool.region]:
            return []
        above = self.tree.above
        return [o for o in incident.regions.values() if o is not pool and pool.region in above[o.region]]

    def _note_peak(self, incident: Incident, outage: Outage) -> None:
        five = round(outage.recent(self._now, PEAK_MINUTES))
        if five <= outage.peak_reports:
            return
        outage.peak_reports, outage.peak = five, self._now
        if self._now - outage.detected >= 3 and five >= 1.2 * outage.told_peak + 2:
            outage.told_peak = five
            self._tell(DecisionKind.UPDATED, incident, outage)

    def _refine_onset(self, incident: Incident, outage: Outage, row: int) -> None:
        """Ten minutes later the course shows better where it began."""
        p, minute = self.parameters, self._now
        reach = min(p.onset_reach + 10, SPAN)
        counts = outage.reports[outage.span(minute, reach)]
        usual = self.recent.course(row, minute, len(counts))
        onset = minute + 1 - estimated_onset(counts[:], usual)
        if not outage.own:
            onset = max(onset, min(incident.earliest() - p.onset_lead, outage.onset))
        if onset < outage.detected and abs(onset - outage.onset) >= 2:
            outage.onset = onset
            incident.onset = incident.earliest()
            self._tell(DecisionKind.UPDATED, incident, outage)

    def _judge(self, incident: Incident, outage: Outage, row: int, usual: FloatArray) -> None:
        p, minute = self.parameters, self._now
        five = outage.recent(minute, 5)
        ten = outage.recent(minute, 10)
        voted = outage.votes[outage.span(minute, 15)].sum() > 0
        earlier = max(outage.recent(minute - 10, 20) - usual[-30:-10].sum(), 0.0) / 20.0
        falling = ten - usual[-10:].sum() <= 0.75 * 10 * earlier + 1
        if outage.state == "unknown" and not voted and not outage.said and minute % 10:
            return
        if not falling and not voted and not outage.said:
            outage.back, outage.able = 0.0, ability(earlier)
            return
        if minute < outage.judge_at and not voted:
            return
        span = outage.span(minute, KEPT)
        origin = minute - len(span) + 1
        kin = self._kin(incident, outage)
        company = self._company(incident, outage)

        def assessed(votes: FloatArray) -> Assessment | None:
            return assess(
                outage.reports[span],
                votes,
                self.recent.course(row, minute, len(span)),
                outage.blind[span],
                max(outage.onset - origin, 0),
                self.habits,
                p,
                kin=kin,
                company=company,
                said=outage.said - origin if outage.said else None,
            )

        votes = outage.votes[span]
        # Hardly half of those who reported ever answer: what is beyond that comes from others.
        votes = votes * min(1.0, p.voters_most * outage.total_reports / max(float(votes.sum()), 1.0))
        found = assessed(votes)
        if found is not None and found.votes > 0 and found.probability >= 0.5 and not self._voted_by_many(outage):
            # A provider, or whoever likes to hide an outage, may vote itself back: a few networks are not heard.
            found = assessed(np.zeros(len(span)))
        outage.judge_at = minute + (
            1 if found and found.probability > 0.6 else 3 if found and found.probability > 0.1 else 6
        )
        if found is not None:
            outage.back, outage.able = found.probability, ability(found.excess)
            # Once the onset has left the memory, a course that is only its end would look steady.
            if not outage.shape or outage.onset >= minute - len(span):
                outage.shape = tuple(found.shape.tolist())
            quiet = five <= usual[-5:].sum() + 0.45 * 5 * found.excess + 1
            basis = self._basis(outage, found, kin, usual, origin)
            if quiet and basis is not None:
                outage.basis = basis
                self._restore(incident, outage, found, origin)
                return
            # A provider's word alone does not make a region recover whose people report as before.
            if outage.state == "down" and found.probability >= 0.5 and (falling or voted):
                outage.state = "recovering"
                outage.recovering = minute
                self._tell(DecisionKind.RECOVERING, incident, outage, self._findings(found))
        if outage.state != "unknown" and minute - outage.noticed >= p.silent_minutes:
            outage.state = "unknown"
            self.down[self._cell(outage)] = 2
            self._learn(outage, outage.noticed)
            self._tell(DecisionKind.UNKNOWN, incident, outage, self._findings(found))
        elif outage.state == "unknown" and minute - outage.noticed >= p.forgotten_minutes:
            self._end(incident, outage, "forgotten")

    def _voted_by_many(self, outage: Outage) -> bool:
        """Whether the votes come from enough networks for the reports there were, where networks are recorded."""
        networks = self._sum(outage.service, outage.region, SPAN, "working_networks")
        p = self.parameters
        needed = min(max(p.least_votes, p.voting_networks * outage.total_reports), p.least_networks)
        return networks is None or networks >= needed

    def _kin(self, incident: Incident, outage: Outage) -> FloatArray:
        """What the other regions of the incident say about how this crowd's reports fade; each has a limited voice."""
        voices = incident.voices
        # Gathered once a minute: with a thousand regions down, each asking all others would take seconds.
        if voices is None:
            voices = incident.voices = np.zeros(1 + len(self.parameters.fatigue))
            for other in incident.regions.values():
                voices += self._voice(other)
        total = voices - self._voice(outage)
        result: FloatArray = np.maximum(total - total.max(), -self.parameters.kin_most)
        return result

    def _company(self, incident: Incident, outage: Outage) -> float:
        """How the other regions of the incident change the odds that this one is back (natural logarithm).

        While all the others go on, a lull in one is less likely its restoration; where most are back, more likely.
        Only regions with enough reports to tell are asked; those of the same country count for more.
        """
        p = self.parameters
        country = int(self.tree.country[outage.region])
        company = incident.company
        if company is None:
            company = incident.company = {}
            for other in incident.regions.values():
                able, back = self._belief(other)
                here = company.setdefault(int(self.tree.country[other.region]), [0.0, 0.0])
                here[0] += able
                here[1] += back
        able, back = self._belief(outage)
        everywhere = [sum(told[i] for told in company.values()) for i in (0, 1)]
        share = (everywhere[1] - back + 1.0) / (everywhere[0] - able + 2.0)
        here = company[country]
        share = (here[1] - back + p.company_pseudo * share) / (here[0] - able + p.company_pseudo)
        return float(max(np.log(2 * share), -p.company_most))

    def _belief(self, outage: Outage) -> tuple[float, float]:
        """How much a region can tell of whether it is back (0 to 1), and how much of that says that it is."""
        if self.tree.has_children[outage.region] or outage.state in ("unknown", "withdrawn", "forgotten"):
            return 0.0, 0.0
        if outage.restored is not None:
            return 1.0, 1.0
        return outage.able, outage.able * outage.back

    def _voice(self, outage: Outage) -> FloatArray:
        if not outage.shape or self.tree.has_children[outage.region]:
            return np.zeros(1 + len(self.parameters.fatigue))
        shape = np.array(outage.shape)
        voice: FloatArray = np.maximum(shape - shape.max(), -2.0)
        return voice

    def _basis(
        self, outage: Outage, found: Assessment, kin: FloatArray, usual: FloatArray, origin: int
    ) -> Basis | None:
        """On what grounds the region may be called restored now; ``None`` if on none."""
        p = self.parameters
        # Few votes, and old ones among them: those still to come would move the estimate. Wait for them.
        cast = outage.votes[outage.span(self._now, p.vote_window)].sum()
        if cast >= p.least_votes and found.votes > 0 and found.probability >= p.certainty_votes:
            return Basis.VOTES
        if found.probability < p.certainty:
            return None
        if outage.said:
            # A few quiet minutes by chance must not confirm what the provider says against people who go on.
            quiet = outage.recent(self._now, 15) <= usual[-15:].sum() + p.statement_quiet * 15 * found.excess + 1
            return Basis.STATEMENT if quiet and found.probability >= p.certainty_statement else None
        steady = fading_probability(np.array(outage.shape), kin, self.habits) <= p.fading_most
        # A cliff that not even the fastest tiring would explain needs no trust in the crowd's habits; but a crowd that
        # loses interest within its first minutes falls as fast as late reports do.
        lasted = origin + found.likeliest - outage.onset
        cliff = found.worst >= p.cliff_evidence and lasted >= p.cliff_age
        return Basis.RATE if (steady or cliff) and outage.state != "unknown" else None

    def _return(self, incident: Incident, outage: Outage) -> None:
        outage.state = "down"
        outage.recovering = None
        self.down[self._cell(outage)] = 1
        self._tell(DecisionKind.REOPENED, incident, outage)

    def _restore(self, incident: Incident, outage: Outage, found: Assessment, origin: int) -> None:
        p = self.parameters
        outage.restored = max(origin + found.restored, outage.onset + 1)
        outage.restored_low = min(max(origin + found.low, outage.onset), outage.restored)
        outage.restored_high = max(origin + found.high, outage.restored)
        outage.excess = found.excess
        if found.votes <= 0:
            outage.restored_low = max(outage.restored_low - p.interval_slack[0], outage.onset)
        outage.restored_high += p.interval_slack[1]
        if outage.basis is Basis.STATEMENT:
            # Back by then, says the provider; it may have been any time since people were last heard in numbers.
            outage.restored_low = max(min(outage.restored_low, outage.noticed), outage.onset)
        self._learn(outage, origin + found.restored)
        self._end(incident, outage, "restored")
        self._tell(DecisionKind.RESTORED, incident, outage, self._findings(found))

    def _follow_sum(self, incident: Incident, outage: Outage, parts: list[Outage]) -> None:
        """A pool is down while a part of it is, and from then on recovering, until it can be said to be back."""
        if any(o.state == "down" for o in parts):
            if outage.state != "down":
                self._return(incident, outage)
        elif outage.state == "down":
            outage.state = "recovering"
            outage.recovering = self._now
            self._tell(DecisionKind.RECOVERING, incident, outage)

    def _close_sum(self, incident: Incident, outage: Outage, parts: list[Outage], lately: float, usual: float) -> None:
        """A pool is back when those parts are that sent nearly all of its reports, and the rest of it is quiet.

        Of a country with dozens of regions some always have too few reports to say: they stay unknown, and the country
        is back without them. Where too many are unknown, so is the pool.
        """
        if lately > 2.0 * usual + 2 + 20 * 0.1 * sum(o.excess for o in parts):
            return
        if self._now - max((o.declared or o.noticed) for o in parts) < 5:
            return
        back = [o for o in parts if o.restored is not None]
        everything = sum(o.total_reports for o in parts)
        # Where nobody reported at all (regions that an administrator declared down), nothing is back by any share.
        if not back or sum(o.total_reports for o in back) < self.parameters.pool_back_share * everything:
            if outage.state != "unknown":
                outage.state = "unknown"
                self.down[self._cell(outage)] = 2
                self._tell(DecisionKind.UNKNOWN, incident, outage)
            if not any(o.state == "unknown" for o in parts):
                self._end(incident, outage, "forgotten")
            return
        last = max(back, key=lambda o: o.restored or 0)
        outage.restored, outage.basis = last.restored, last.basis
        outage.restored_low, outage.restored_high = last.restored_low, last.restored_high
        outage.excess = sum(o.excess for o in parts)
        self._end(incident, outage, "restored")
        self._tell(DecisionKind.RESTORED, incident, outage)

    def _learn(self, outage: Outage, until: int) -> None:
        """Remember how this crowd behaved: whether its reports lasted, and whether it votes."""
        span = outage.span(self._now, KEPT)
        origin = self._now - len(span) + 1
        onset, end = max(outage.onset - origin, 0), min(until - origin, len(span) - 1)
        if end - onset >= 15:
            total = np.concatenate([[0.0], np.cumsum(outage.reports[span])])
            usual = np.concatenate([[0.0], np.cumsum(self.recent.course(self._row(outage), self._now, len(span)))])
            excess = total[end] - total[onset] - (usual[end] - usual[onset])
            if excess >= 20:
                at = np.array([end])
                before = np.array([excess / (end - onset)])
                likelihood = course_likelihood(at, onset, total, usual, before, self.parameters)[:, 0]
                weight = np.exp(likelihood - likelihood.max()) * self.habits.fading / self.habits.fading.sum()
                self.habits.fading = 0.98 * self.habits.fading + weight / weight.sum() * min(1.0, excess / 60)
        self.habits.reports += outage.total_reports
        self.habits.votes += outage.total_votes

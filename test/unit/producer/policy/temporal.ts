/**
 * The oracle for time zones: Temporal, which Node 24 has behind a V8 flag. The flag is set for one context of its own;
 * nothing of hobbler runs in there.
 */
import { setFlagsFromString } from 'node:v8';
import { createContext, runInContext } from 'node:vm';

setFlagsFromString('--harmony-temporal');
const context = createContext({});

/** What the oracle is asked, as text, as it lives in another context. */
const QUESTIONS = `
  const dateOf = (day) => Temporal.PlainDate.from('1970-01-01').add({ days: day });
  ({
    /** The first moment of a date at which the clock reads this minute of the day or later. */
    firstMomentAt(zone, day, minuteOfDay) {
      const wall = dateOf(day).toPlainDateTime({ hour: Math.floor(minuteOfDay / 60), minute: minuteOfDay % 60 });
      const early = wall.toZonedDateTime(zone, { disambiguation: 'earlier' });
      if (early.toPlainDateTime().equals(wall)) return early.epochMilliseconds;
      // It is never read: the clock jumped over it, between the two ways of reading it. Minute by minute, then.
      const last = wall.toZonedDateTime(zone, { disambiguation: 'later' }).toInstant();
      let moment = early.toInstant();
      const isBefore = () =>
        Temporal.PlainDateTime.compare(moment.toZonedDateTimeISO(zone).toPlainDateTime(), wall) < 0;
      while (isBefore() && Temporal.Instant.compare(moment, last) < 0) moment = moment.add({ minutes: 1 });
      return moment.epochMilliseconds;
    },
    offsetMs(zone, atMs) {
      return Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(zone).offsetNanoseconds / 1e6;
    },
  })
`;

interface Oracle {
  firstMomentAt(zone: string, day: number, minuteOfDay: number): number;
  offsetMs(zone: string, atMs: number): number;
}

export const oracle = runInContext(QUESTIONS, context) as Oracle;

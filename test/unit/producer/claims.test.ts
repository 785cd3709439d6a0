/** Bookkeeping of which verdicts want which places; what is to be ordered follows from it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClaimedPlace, Claims, strongest } from '../../../producer/claims.ts';
import { subjectKey } from '../../../producer/subject-verdict.ts';
import { verdict } from './support.ts';

const FLEET_PLACE = { host: '*', target: 'user:alice' };
const WEB_1 = { host: 'web-1', target: 'user:alice' };
const due = (claims: Claims) => claims.due(0).map(({ next, place }) => `${next} ${place.host} ${place.target}`);
/** What the enforcer does once an order is given. */
const give = (claims: Claims) => {
  for (const claimed of claims.due(0)) {
    if (claimed.next === 'untarpit') claims.released(claimed);
    else Object.assign(claimed, { next: 'renew', dueAtMs: 100, offered: strongest(claimed).hobble });
  }
};

describe('claims', () => {
  it('a new verdict is ordered at once, a known one renewed', () => {
    const claims = new Claims();
    claims.impose(verdict(), true);
    claims.impose(verdict({ account: 'bob', places: [{ host: 'web-1', target: 'user:bob' }] }), false);
    expect(due(claims)).toEqual(['tarpit * user:alice', 'renew web-1 user:bob']);
  });

  it('the same verdict again changes nothing', () => {
    const claims = new Claims();
    claims.impose(verdict(), true);
    give(claims);
    claims.impose(verdict({ reason: 'cpu 3000 s of 2000 s' }), false);
    expect(due(claims)).toEqual([]);
  });

  it('another level is ordered at once', () => {
    const claims = new Claims();
    claims.impose(verdict(), true);
    give(claims);
    claims.impose(verdict({ hobble: { runMs: 10, stopMs: 400, mechanism: 'auto' } }), false);
    expect(due(claims)).toEqual(['renew * user:alice']);
  });

  it('an order that was to end with its penalty is given anew when that lasts longer', () => {
    const claims = new Claims();
    claims.impose(verdict({ untilMs: 1_000 }), true);
    give(claims);
    claims.impose(verdict({ untilMs: 2_000 }), false);
    expect(due(claims)).toEqual([]);
    for (const claimed of claims.due(100)) claimed.endsAtMs = 2_000;
    claims.impose(verdict({ untilMs: 2_000 }), false);
    expect(due(claims)).toEqual([]);
    claims.impose(verdict({ untilMs: 3_000 }), false);
    expect(due(claims)).toEqual(['renew * user:alice']);
  });

  it('a place is let go when the last account that claims it is let go, and the harsher level counts until then', () => {
    const claims = new Claims();
    const mild = verdict({ account: 'a', hobble: { runMs: 100, stopMs: 100, mechanism: 'auto' } });
    const harsh = verdict({ account: 'b' });
    claims.impose(harsh, true);
    claims.impose(mild, true);
    expect(strongest(claims.due(0)[0] as ClaimedPlace).account).toBe('b');
    give(claims);
    claims.lift(harsh);
    expect(due(claims)).toEqual(['renew * user:alice']);
    expect(strongest(claims.due(0)[0] as ClaimedPlace).account).toBe('a');
    expect(claims.takeSettled()).toMatchObject([{ account: 'b', subject: 'account' }]);
    give(claims);
    claims.lift(mild);
    expect(due(claims)).toEqual(['untarpit * user:alice']);
    give(claims);
    expect(claims.takeSettled()).toMatchObject([{ account: 'a', subject: 'account' }]);
    expect(claims.size).toBe(0);
  });

  it('places that an account no longer stands for are let go', () => {
    const claims = new Claims();
    claims.impose(verdict(), true);
    give(claims);
    claims.impose(verdict({ places: [WEB_1] }), false);
    expect(due(claims)).toEqual(['untarpit * user:alice', 'renew web-1 user:alice']);
  });

  it("a fleet's untarpit overtakes the order on one host, so a claim there is ordered anew", () => {
    const claims = new Claims();
    const onWeb1 = verdict({ subject: 'web-1 -', places: [WEB_1] });
    claims.impose(verdict(), true);
    claims.impose(onWeb1, true);
    give(claims);
    claims.lift(verdict());
    give(claims);
    expect(due(claims)).toEqual(['tarpit web-1 user:alice']);
  });

  it('a host that the fleet claims anyway is known as covered', () => {
    const claims = new Claims();
    const onWeb1 = verdict({ subject: 'web-1 -', places: [WEB_1] });
    claims.impose(verdict(), true);
    claims.impose(onWeb1, true);
    give(claims);
    claims.lift(onWeb1);
    const [place] = claims.due(0);
    expect(claims.coveredByFleet(place as ClaimedPlace)?.place).toEqual(FLEET_PLACE);
  });

  it('what is owed since before a restart is untarpitted, known or not', () => {
    const claims = new Claims();
    claims.lift(verdict({ hobble: null }), [FLEET_PLACE, WEB_1]);
    expect(due(claims)).toEqual(['untarpit * user:alice', 'untarpit web-1 user:alice']);
    expect(claims.takeSettled()).toEqual([]);
    give(claims);
    expect(claims.takeSettled()).toHaveLength(1);
  });

  it('whatever is imposed and lifted, in the end those places are in the tarpit that a standing verdict claims', () => {
    const step = fc.record({
      account: fc.constantFrom('a', 'b', 'c'),
      places: fc.uniqueArray(fc.constantFrom(FLEET_PLACE, WEB_1, { host: 'web-1', target: 'uid:1' }), {
        minLength: 1,
        selector: ({ host, target }) => `${host} ${target}`,
      }),
      isLift: fc.boolean(),
      isNew: fc.boolean(),
      givesNow: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const claims = new Claims();
        const standing = new Map<string, { host: string; target: string }[]>();
        const inTarpit = new Set<string>();
        const giveAll = () => {
          for (const { next, place } of claims.due(0)) {
            const name = `${place.host} ${place.target}`;
            if (next === 'untarpit') inTarpit.delete(name);
            else inTarpit.add(name);
          }
          give(claims);
        };
        for (const { account, places, isLift, isNew, givesNow } of steps) {
          const one = verdict({ account, places });
          if (isLift) claims.lift(one);
          else claims.impose(one, isNew);
          if (isLift) standing.delete(subjectKey(one));
          else standing.set(subjectKey(one), places);
          if (givesNow) giveAll();
        }
        giveAll();
        giveAll();
        const claimed = new Set([...standing.values()].flat().map(({ host, target }) => `${host} ${target}`));
        expect(inTarpit).toEqual(claimed);
        expect(claims.size).toBe(claimed.size);
      }),
    );
  });
});

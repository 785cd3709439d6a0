/**
 * Which mechanisms this host can use, and why. The only place that says so: `auto`, `doctor`, `status` and the reports
 * repeat it. At present `signal` is the one that is carried out; asking for another is refused, not quietly replaced.
 */
import { HobblerError } from '../../shared/errors.ts';
import type { Hobble, MechanismName } from '../../shared/order.ts';
import type { MechanismProbe } from '../../shared/report.ts';

/** What each mechanism can do on this host. */
export function probeMechanisms(): Record<MechanismName, MechanismProbe> {
  return {
    signal: { supported: true, why: 'SIGSTOP and SIGCONT work on every Linux' },
    freezer: { supported: false, why: 'this version of hobbler does not freeze cgroups yet' },
    quota: { supported: false, why: 'this version of hobbler does not set CPU quotas yet' },
  };
}

/** The mechanism for an order, and why it was chosen. Throws unsupported for one that cannot be had. */
export function explainMechanism(asked: Hobble['mechanism']): { name: MechanismName; why: string } {
  const probes = probeMechanisms();
  if (asked === 'auto') return { name: 'signal', why: `auto: ${probes.signal.why}` };
  if (!probes[asked].supported)
    throw new HobblerError('unsupported', `mechanism ${asked}: ${probes[asked].why}`, { hint: 'use auto or signal' });
  return { name: asked, why: 'as asked' };
}

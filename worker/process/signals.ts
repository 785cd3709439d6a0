/** The one door to kill(2), beside pidfd.ts. Sends stop and continue, and says what came of it; never sends anything else. */

export type Sent = 'sent' | 'gone' | 'not-permitted';

/** Stops one process. The caller has journalled it before (invariant 1). */
export function sendStop(pid: number): Sent {
  return send(pid, 'SIGSTOP');
}

export function sendContinue(pid: number): Sent {
  return send(pid, 'SIGCONT');
}

function send(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): Sent {
  // kill(0) and kill(-n) reach whole groups, kill(1) the init: a bug upstream must end here.
  if (!(Number.isSafeInteger(pid) && pid > 1)) return 'not-permitted';
  try {
    process.kill(pid, signal);
    return 'sent';
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ESRCH':
        return 'gone';
      case 'EPERM':
        return 'not-permitted';
      default:
        throw error;
    }
  }
}

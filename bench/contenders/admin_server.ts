/**
 * The admin for scenario `admin-pages`: the whole service on a port of its own, with one operator.
 * Usage: node admin_server.ts REDIS_URL NAME PASSWORD; prints its address, then `ready`.
 */
import { adminSchema } from '../../admin/config.ts';
import { hashPasswordSync } from '../../admin/password.ts';
import { createAdminService } from '../../admin/service.ts';
import { systemClock } from '../../shared/clock.ts';
import { silentLogger } from '../../shared/log.ts';

const [url, name, password] = process.argv.slice(2) as [string, string, string];
process.once('SIGTERM', () => process.exit());

const admin = createAdminService({
  config: {
    ...adminSchema.parse({ http: { port: 0, loginsPerMinute: 1_000, requestsPerMinute: 1_000_000 } }),
    users: [{ name, role: 'operator', password: hashPasswordSync(password) }],
  },
  redis: { url, name: 'hobbler-admin' },
  clock: systemClock,
  log: silentLogger(),
});
await admin.start();
console.log(admin.url);
console.log('ready');

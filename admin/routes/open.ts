/** The doors without a credential besides the login: health for probes, and the files that the login page needs. */
import type { FastifyInstance } from 'fastify';
import { ASSETS, type Asset } from '../static/assets.ts';

const OPEN = { config: { access: 'open' } } as const;

export function addOpenRoutes(app: FastifyInstance): void {
  // Says only that this process answers: whether Redis does is nothing for strangers, and restarting us would not help.
  app.get('/healthz', OPEN, async () => ({ status: 'ok' }));

  for (const { path, contentType, content } of Object.values(ASSETS) as Asset[]) {
    app.get(path, OPEN, async (_request, reply) =>
      reply.header('cache-control', 'public, max-age=31536000, immutable').type(contentType).send(content),
    );
  }
}

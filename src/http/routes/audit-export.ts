import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { MEDIA_TYPES, recordedExport } from '../../audit/export/export.ts';
import { DEFAULT_EXPORT_FORMAT, type ExportFormat } from '../../audit/export/formats.ts';
import type { AuditQuery } from '../../audit/query/query.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { EXPORT_FORMATS } from '../../core/words.ts';
import { actorOf, viewOf } from '../access-control.ts';
import type { RouteDeps } from '../deps.ts';
import { type Description, describe } from '../openapi.ts';
import { FILTERS, filterOf } from './audit.ts';

type ExportQuery = AuditQuery & { readonly format?: ExportFormat };

type Chunks = AsyncGenerator<string, void, undefined>;

export function addExportRoute(app: FastifyInstance, { clock, closing, version }: RouteDeps): void {
  const serialize = createSerialExecutor();
  /**
   * Reads the next chunk of an export. Only one chunk is read at a time, even if several exports are active. Yields to
   * the event loop after each chunk, so that probes wait for at most one chunk.
   */
  const nextChunk = (chunks: Chunks): Promise<IteratorResult<string, void>> =>
    serialize(async () => {
      const next = await chunks.next();
      await setImmediate();
      return next;
    });
  /**
   * Yields all chunks. Only reading goes through `serialize`, and sending does not, so a slow client does not delay
   * other exports.
   */
  async function* allChunks(first: IteratorResult<string, void>, rest: Chunks): Chunks {
    for (let next = first; !next.done; next = await nextChunk(rest)) yield next.value;
  }

  const activeExports = new Set<Promise<unknown>>();
  // Wait for active exports, because the audit store closes right after the server.
  app.addHook('onClose', async () => {
    await Promise.all(activeExports);
  });

  app.get<{ Querystring: ExportQuery }>(
    '/api/v1/audit/export',
    {
      config: { access: 'viewer' },
      // Do not add a HEAD route. It would read all records, and the audit log would record an export that sent nothing.
      exposeHeadRoute: false,
      schema: describe(EXPORT),
    },
    async (request, reply) => {
      const { audit } = viewOf(request);
      const { format = DEFAULT_EXPORT_FORMAT } = request.query;
      const chunks = recordedExport(
        audit,
        { format, filter: filterOf(request.query, clock.now()), version, signal: closing },
        { actor: actorOf(request), requestId: request.id, now: () => clock.now() },
      );
      // An error in the first chunk becomes an error response. After a later error, the connection can only be cut.
      const first = await nextChunk(chunks);
      const stream = Readable.from(allChunks(first, chunks));
      const finished = Promise.withResolvers<void>();
      activeExports.add(finished.promise);
      // End the generator even if the stream was never read, because the audit log records how each export ended.
      stream.once('close', async () => {
        await Promise.allSettled([chunks.return()]);
        activeExports.delete(finished.promise);
        finished.resolve();
      });
      return reply
        .type(MEDIA_TYPES[format])
        .header('content-disposition', `attachment; filename="audit.${format === 'csv' ? 'csv' : 'jsonl'}"`)
        .send(stream);
    },
  );
}

/** The media types without their parameters, because OpenAPI lists media types without parameters. */
const MEDIA_TYPE_NAMES = [...new Set(Object.values(MEDIA_TYPES).map((type) => type.replace(/;.*$/, '')))];

const EXPORT_QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    format: {
      type: 'string',
      enum: EXPORT_FORMATS,
      default: DEFAULT_EXPORT_FORMAT,
      description: 'The format of each record.',
    },
    ...FILTERS,
  },
} as const;

const EXPORT: Description = {
  id: 'exportRecords',
  tag: 'audit',
  summary:
    'Stream records, oldest first: `jsonl` as the chain holds them, `csv` as a table, `ocsf` as events. The export itself is recorded in the audit.',
  role: 'viewer',
  query: EXPORT_QUERY,
  mediaTypes: MEDIA_TYPE_NAMES,
  otherAnswers: { 503: 'Error' },
};

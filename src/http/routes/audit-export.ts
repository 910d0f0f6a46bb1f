import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { MEDIA_TYPES, recordedExport } from '../../audit/export/export.ts';
import { DEFAULT_EXPORT_FORMAT, EXPORT_FORMATS, type ExportFormat } from '../../audit/export/formats.ts';
import type { Question } from '../../audit/question/question.ts';
import { createInTurn } from '../../core/in-turn.ts';
import type { RouteDeps } from '../deps.ts';
import { describe } from '../openapi.ts';
import { actorOf } from '../requester.ts';
import { FILTERS, filterOf } from './audit-query.ts';

type ExportQuery = Question & { readonly format?: ExportFormat };

type Chunks = AsyncGenerator<string, void, undefined>;

export function addExportRoute(app: FastifyInstance, { audit, clock, closing, version }: RouteDeps): void {
  const inTurn = createInTurn();
  /** One piece of all exports in a turn of the event loop: a probe waits for one, however many are under way. */
  const take = (chunks: Chunks): Promise<IteratorResult<string, void>> =>
    inTurn(async () => {
      const next = await chunks.next();
      await setImmediate();
      return next;
    });
  /** Whoever takes a piece slowly holds up nobody: that is no part of the turn. */
  async function* pieces(first: IteratorResult<string, void>, rest: Chunks): Chunks {
    for (let next = first; !next.done; next = await take(rest)) yield next.value;
  }

  const underWay = new Set<Promise<unknown>>();
  // Whoever closes the server closes the audit next.
  app.addHook('onClose', async () => {
    await Promise.all(underWay);
  });

  app.get<{ Querystring: ExportQuery }>(
    '/api/v1/audit/export',
    {
      config: { access: 'viewer' },
      // It would read everything, and put on record an export that nobody got.
      exposeHeadRoute: false,
      schema: describe({
        id: 'exportRecords',
        tag: 'audit',
        summary:
          'Records, oldest first, as a stream: `jsonl` as they are proved, `csv` as a table, `ocsf` as events. The export is on record itself.',
        role: 'viewer',
        query: QUERY,
        types: TYPES,
        also: { 503: 'Error' },
      }),
    },
    async (request, reply) => {
      const { format = DEFAULT_EXPORT_FORMAT } = request.query;
      const chunks = recordedExport(
        audit,
        { format, filter: filterOf(request.query, clock.now()), version, signal: closing },
        { actor: actorOf(request), requestId: request.id, now: () => clock.now() },
      );
      // What fails at the start is an answer of its own; later only the connection can be cut.
      const first = await take(chunks);
      const stream = Readable.from(pieces(first, chunks));
      const ended = Promise.withResolvers<void>();
      underWay.add(ended.promise);
      // Also when nobody took the first piece: how the export ended is on record.
      stream.once('close', async () => {
        await Promise.allSettled([chunks.return()]);
        underWay.delete(ended.promise);
        ended.resolve();
      });
      return reply
        .type(MEDIA_TYPES[format])
        .header('content-disposition', `attachment; filename="audit.${format === 'csv' ? 'csv' : 'jsonl'}"`)
        .send(stream);
    },
  );
}

/** Without their parameters, as a description names them. */
const TYPES = [...new Set(Object.values(MEDIA_TYPES).map((type) => type.replace(/;.*$/, '')))];

const QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    format: {
      type: 'string',
      enum: EXPORT_FORMATS,
      default: DEFAULT_EXPORT_FORMAT,
      description: 'How each record is written.',
    },
    ...FILTERS,
  },
} as const;

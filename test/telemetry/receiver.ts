import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { bodyOf } from '../fakes/body.ts';
import { closeServer, listen } from '../fakes/loopback.ts';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  /** The code 2 means error. */
  readonly status: { readonly code?: number; readonly message?: string };
  readonly events?: readonly unknown[];
  /** The attribute names omit the `secretbridge.` prefix. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
}

/** A collector for OTLP over HTTP as JSON, https://opentelemetry.io/docs/specs/otlp/#otlphttp. */
export interface Receiver extends AsyncDisposable {
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** The raw request bodies. */
  readonly bodies: readonly string[];
  /** Sets the response to later requests. The default accepts everything. */
  answer(how: (response: ServerResponse) => void): void;
}

interface Otlp {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, 'attributes' | 'resource'> & {
        readonly attributes?: readonly Attribute[];
      })[];
    }[];
  }[];
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

export const acceptSpans = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
};

export async function openReceiver(): Promise<Receiver> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  const bodies: string[] = [];
  let respond = acceptSpans;
  const server = createServer(async (request, response) => {
    const body = (await bodyOf(request))?.toString();
    if (body === undefined) return;
    requests.push({ path: request.url ?? '', headers: request.headers });
    bodies.push(body);
    respond(response);
    if (response.statusCode === 200 && response.writableEnded) spans.push(...spansIn(JSON.parse(body)));
  });
  const port = await listen(server);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    requests,
    bodies,
    answer(next) {
      respond = next;
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

/** Returns the spans of one request. */
export function spansIn({ resourceSpans }: Otlp): readonly ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: textsOf(span.attributes),
        resource: textsOf(resource.attributes),
      })),
    ),
  );
}

/** @param attributes Undefined in the output of a collector if there are none. */
function textsOf(attributes: readonly Attribute[] = []): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key.replace(/^secretbridge\./, ''), value.stringValue ?? '?']),
  );
}

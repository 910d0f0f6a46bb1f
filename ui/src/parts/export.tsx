import type { VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError, open } from '../api.ts';
import { announce, size } from '../format.tsx';
import { FORMATS } from '../words.ts';
import { useAttempt } from './attempt.ts';
import { Problem } from './notice.tsx';

/** Chunks are combined to Blobs of this size, which the browser may store on disk. */
const PIECE_BYTES = 8 * 1_048_576;
const NOTE =
  'The export contains only the records with the fingerprint itself, without the changes that used a source version with it.';
const ENDINGS = { jsonl: 'jsonl', csv: 'csv', ocsf: 'ocsf.jsonl' } as const;

type Format = keyof typeof FORMATS;

interface Props {
  readonly filters: Readonly<Record<string, string>>;
  /**
   * Whether the filters contain a fingerprint. If so, the page also shows the changes that used a version with this
   * fingerprint.
   */
  readonly isTraced: boolean;
}

/** Saves all records that match the filters to a file. */
export function Export({ filters, isTraced }: Props): VNode {
  const attempt = useAttempt();
  const running = useRef<AbortController>(undefined);
  const [format, setFormat] = useState<Format>('jsonl');
  const [progress, setProgress] = useState('');
  useLayoutEffect(() => () => running.current?.abort(), []);

  const run = (): Promise<void> =>
    attempt.run(async () => {
      const controller = new AbortController();
      running.current = controller;
      setProgress('');
      try {
        const file = await read({ ...filters, format }, controller.signal, (bytes) =>
          setProgress(`${size(bytes)} so far`),
        );
        save(file, `secretbridge-audit-${stamp()}.${ENDINGS[format]}`);
        const text = `${size(file.size)} exported`;
        setProgress(text);
        announce(text);
      } catch (error) {
        setProgress(controller.signal.aborted ? 'Stopped. Nothing was saved.' : '');
        if (!controller.signal.aborted) throw error;
      }
    });

  return (
    <div class="export">
      {isTraced && (
        <p id="export-note" class="muted">
          {NOTE}
        </p>
      )}
      <FormatField format={format} choose={setFormat} />
      <button
        type="button"
        aria-disabled={attempt.busy}
        aria-describedby={isTraced ? 'export-note' : undefined}
        onClick={run}
      >
        Export
      </button>
      {attempt.busy && (
        <button type="button" onClick={() => running.current?.abort()}>
          Stop
        </button>
      )}
      <span class="muted">{progress}</span>
      {attempt.error !== undefined && <Problem error={attempt.error} />}
    </div>
  );
}

interface FormatProps {
  readonly format: Format;
  readonly choose: (format: Format) => void;
}

function FormatField({ format, choose }: FormatProps): VNode {
  return (
    <>
      <label for="export-format">Export matching records as</label>
      <select
        id="export-format"
        value={format}
        onChange={({ currentTarget }) => choose(currentTarget.value as Format)}
      >
        {Object.entries(FORMATS).map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
    </>
  );
}

/** Returns the current time as text for a file name. */
function stamp(): string {
  return new Date().toISOString().slice(0, 19).replaceAll(':', '');
}

async function read(
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
  progress: (bytes: number) => void,
): Promise<Blob> {
  const response = await open('/api/v1/audit/export', query, signal);
  const pieces: Blob[] = [];
  let chunks: Uint8Array<ArrayBuffer>[] = [];
  let pending = 0;
  let total = 0;
  try {
    for await (const chunk of chunksOf(response)) {
      chunks.push(chunk);
      pending += chunk.byteLength;
      total += chunk.byteLength;
      if (pending < PIECE_BYTES) continue;
      pieces.push(new Blob(chunks));
      chunks = [];
      pending = 0;
      progress(total);
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Report an error for an incomplete export. Otherwise the incomplete file would look complete.
    const message = 'The export ended early. Nothing was saved.';
    throw new ApiError({ status: 0, code: 'UNREACHABLE', message, remedy: 'Try again.' });
  }
  return new Blob([...pieces, ...chunks], { type: response.headers.get('content-type') ?? '' });
}

/** Returns the chunks of a response. Some browsers do not support `for await` on a stream. */
export async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  // The download starts asynchronously, so revoke the URL later.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

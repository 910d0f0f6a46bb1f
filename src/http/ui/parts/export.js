import { ApiError, open } from '../api.js';
import { FORMATS } from '../constants.js';
import { announce, h } from '../dom.js';
import { size } from '../format.js';
import { attempt } from './attempt.js';

/** Chunks are combined to Blobs of this size, which the browser may store on disk. */
const PIECE_BYTES = 8 * 1_048_576;
const NOTE =
  'The export contains only the records with the fingerprint itself, without the changes that used a source version with it.';
/** @type {Readonly<Record<string, string>>} */
const ENDINGS = { jsonl: 'jsonl', csv: 'csv', ocsf: 'ocsf.jsonl' };

/**
 * Draws the export control. It saves all records that match the filters to a file.
 * @param {Record<string, string>} filters
 * @param {boolean} traced Whether the filters contain a fingerprint. If so, the page also shows the changes that used a
 * version with this fingerprint.
 */
export function exportControl(filters, traced) {
  /** @type {AbortController | undefined} */
  let running;
  const options = Object.entries(FORMATS).map(([value, title]) => h('option', { value }, title));
  const format = h('select', { id: 'export-format' }, ...options);
  const start = h(
    'button',
    { type: 'button', onclick: run, 'aria-describedby': traced && 'export-note' },
    'Export',
  );
  const stop = h('button', { type: 'button', hidden: true, onclick: () => running?.abort() }, 'Stop');
  const state = h('span', { class: 'muted' });
  const trouble = h('div');

  function run() {
    return attempt([start], trouble, async () => {
      running = new AbortController();
      stop.hidden = false;
      state.textContent = '';
      try {
        const file = await read({ ...filters, format: format.value }, running.signal, (bytes) => {
          state.textContent = `${size(bytes)} so far`;
        });
        save(file, `secretbridge-audit-${stamp()}.${ENDINGS[format.value]}`);
        state.textContent = `${size(file.size)} exported`;
        announce(state.textContent);
      } catch (error) {
        state.textContent = running.signal.aborted ? 'Stopped. Nothing was saved.' : '';
        if (!running.signal.aborted) throw error;
      } finally {
        stop.hidden = true;
      }
    });
  }

  return h(
    'div',
    { class: 'export' },
    traced && h('p', { id: 'export-note', class: 'muted' }, NOTE),
    h('label', { for: 'export-format' }, 'Export matching records as'),
    format,
    start,
    stop,
    state,
    trouble,
  );
}

/** Returns the current time as text for a file name. */
function stamp() {
  return new Date().toISOString().slice(0, 19).replaceAll(':', '');
}

/**
 * @param {Record<string, string>} query
 * @param {AbortSignal} signal
 * @param {(bytes: number) => void} progress
 */
async function read(query, signal, progress) {
  const response = await open('api/v1/audit/export', query, signal);
  /** @type {Blob[]} */
  const pieces = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let chunks = [];
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

/**
 * Returns the chunks of a response. Some browsers do not support `for await` on a stream. @param {Response} response
 */
async function* chunksOf({ body }) {
  const reader = body?.getReader();
  if (reader === undefined) return;
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

/** @param {Blob} file @param {string} name */
function save(file, name) {
  const url = URL.createObjectURL(file);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  // The download starts asynchronously, so revoke the URL later.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

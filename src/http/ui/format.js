import { h } from './dom.js';

const SHORT = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const LONG = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'long' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const NUMBER = new Intl.NumberFormat('en-GB');

/** @param {string} iso */
export function utc(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** @param {string} iso */
export function isLocalTimeUtc(iso) {
  return new Date(iso).getTimezoneOffset() === 0;
}

/**
 * Renders a time in the local time zone, with UTC as a tooltip.
 * @param {string} iso RFC 3339
 * @param {{ long?: boolean }} [options]
 */
export function time(iso, { long = false } = {}) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return h('span', {}, iso);
  const thisYear = date.getFullYear() === new Date().getFullYear();
  const year = thisYear || long ? '' : ` ${date.getFullYear()}`;
  const [day = '', clock = ''] = SHORT.format(date).split(', ');
  const text = long ? LONG.format(date) : `${day}${year}, ${clock}`;
  return h('time', { datetime: iso, title: utc(date.toISOString()) }, text);
}

/** @param {number} at Milliseconds since 1970. */
export function clock(at) {
  return CLOCK.format(at);
}

/** @param {number} count */
export function number(count) {
  return NUMBER.format(count);
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function pluralize(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  // Round first, so that no part overflows into the next unit, as in `1 h 60 min`.
  const minutes = Math.round(seconds / 60);
  if (Math.round(seconds) < 60) return `${Math.round(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2_880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** @param {number} ms */
export function milliseconds(ms) {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1_024) return `${bytes} B`;
  return bytes < 1_048_576 ? `${Math.round(bytes / 1_024)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

/** @param {{ kind: string, name?: string }} actor */
export function actorText({ kind, name }) {
  return name === undefined ? kind : `${name} (${kind})`;
}

import type { VNode } from 'preact';
import type { Actor } from './types.ts';

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

function utc(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

function isLocalTimeUtc(iso: string): boolean {
  return new Date(iso).getTimezoneOffset() === 0;
}

/** A time in the local time zone, with UTC as a tooltip. `at` is a time of RFC 3339. */
export function Time({ at, long = false }: { readonly at: string; readonly long?: boolean }): VNode {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <span>{at}</span>;
  const thisYear = date.getFullYear() === new Date().getFullYear();
  const year = thisYear || long ? '' : ` ${date.getFullYear()}`;
  const [day = '', clockText = ''] = SHORT.format(date).split(', ');
  return (
    <time dateTime={at} title={utc(date.toISOString())}>
      {long ? LONG.format(date) : `${day}${year}, ${clockText}`}
    </time>
  );
}

/** The local time and UTC, or only one of them if they are the same. */
export function BothTimes({ at }: { readonly at: string }): VNode {
  return (
    <>
      <Time at={at} long />
      {!isLocalTimeUtc(at) && <span class="muted">{` ${utc(at)}`}</span>}
    </>
  );
}

/** Text, in which the parts in backticks are code. */
export function WithCode({ text }: { readonly text: string }): VNode {
  return (
    <span>
      {text.split('`').map((part, at) => (at % 2 === 0 ? part : <code key={`${at}`}>{part}</code>))}
    </span>
  );
}

/** @param at Milliseconds since 1970. */
export function clock(at: number): string {
  return CLOCK.format(at);
}

export function number(count: number): string {
  return NUMBER.format(count);
}

export function pluralize(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** Returns the text with a capital first letter. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function duration(seconds: number): string {
  // Round first, so that no part overflows into the next unit, as in `1 h 60 min`.
  const minutes = Math.round(seconds / 60);
  if (Math.round(seconds) < 60) return `${Math.round(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2_880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(seconds / 86_400)} days`;
}

export function milliseconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

export function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  return bytes < 1_048_576 ? `${Math.round(bytes / 1_024)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

export function actorText({ kind, name }: Pick<Actor, 'kind' | 'name'>): string {
  return name === undefined ? kind : `${name} (${kind})`;
}

/**
 * Announces text to screen readers. The text is visible elsewhere. The element is outside of the part of the page that
 * Preact draws.
 */
export function announce(text: string): void {
  const live = document.getElementById('live');
  if (live === null) return;
  // Change the text slightly, because screen readers ignore unchanged text.
  live.textContent = live.textContent === text ? `${text}\u00a0` : text;
}

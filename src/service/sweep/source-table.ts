import type { Fingerprint } from '../../core/fingerprint.ts';
import type { Finding } from './findings.ts';

/** The time of a sweep. All checks of one sweep share one object, to save memory. */
export interface SweepTime {
  /** According to the steady clock of this process. */
  readonly steady: number;
  /** Milliseconds since 1970. */
  readonly wall: number;
}

/** A finding without the fingerprint of the value. */
export type KnownFinding =
  | { readonly kind: 'version'; readonly version: string; readonly by: 'list' | 'read' }
  | Exclude<Finding, { kind: 'version' }>;

/** The last check of a reference. */
export interface SourceCheck {
  readonly finding: KnownFinding;
  readonly checkedAt: SweepTime;
  /** When this process first had this finding. */
  readonly since: SweepTime;
  /** Whether the finding differs from the previous one. */
  readonly isChanged: boolean;
  /** Whether the version is the same as before although the value differs. */
  readonly isVersionReused: boolean;
  /** Whether this is the first finding of the reference in this process. */
  readonly isFirst: boolean;
  /** A part of the fingerprint of the last value read. */
  readonly content?: number | undefined;
}

/** Whether two findings are equal. It does not matter whether a list or a read has shown a version. */
function isSameFinding(a: KnownFinding, b: KnownFinding): boolean {
  if (a.kind === 'version') return b.kind === 'version' && a.version === b.version;
  return a.kind === 'failed' ? b.kind === 'failed' && a.code === b.code : a.kind === b.kind;
}

/** What the sweeps of this process have found, by `refId`. */
export class SourceTable {
  readonly #checks = new Map<string, SourceCheck>();

  get(id: string): SourceCheck | undefined {
    return this.#checks.get(id);
  }

  /** @param hasReplacedValue Whether this version had another value before, according to the audit. */
  note(id: string, finding: Finding, hasReplacedValue: boolean, at: SweepTime): void {
    const before = this.#checks.get(id);
    const isEqual = before !== undefined && isSameFinding(before.finding, finding);
    const content = 'content' in finding ? partOf(finding.content) : before?.content;
    // Before the first read of this process, only the audit shows a replaced value. Afterwards use the last value,
    // because reads of this process may not be in the audit yet.
    const isVersionReused = before?.content === undefined ? hasReplacedValue : before.content !== content;
    const isSame = isEqual && !isVersionReused;
    const check = {
      finding: withoutContent(finding),
      checkedAt: at,
      since: isSame ? before.since : at,
      isChanged: isVersionReused || (before !== undefined && !isEqual),
      isVersionReused,
      isFirst: before === undefined,
      content,
    };
    // Change the object in place. Otherwise each sweep would replace an old object for each key, and collecting old
    // objects is expensive.
    if (before === undefined) this.#checks.set(id, check);
    else Object.assign(before, check);
  }

  /** Forgets the references that are not used. */
  retain(used: ReadonlySet<string>): void {
    for (const id of this.#checks.keys()) if (!used.has(id)) this.#checks.delete(id);
  }
}

function withoutContent(finding: Finding): KnownFinding {
  return finding.kind === 'version' ? { kind: 'version', version: finding.version, by: finding.by } : finding;
}

/** Returns 52 bits of a fingerprint, which take less memory. Values are only compared with the previous value. */
function partOf(fingerprint: Fingerprint): number {
  return Number.parseInt(fingerprint.slice(-13), 16);
}

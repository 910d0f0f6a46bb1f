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
}

/** What the sweeps of this process have found, by `refId`. */
export class SourceTable {
  readonly #checks = new Map<string, KeptCheck>();

  get(id: string): SourceCheck | undefined {
    return this.#checks.get(id);
  }

  /** @param hasReplacedValue Whether this version had another value before, according to the audit. */
  note(id: string, finding: Finding, hasReplacedValue: boolean, at: SweepTime): void {
    const before = this.#checks.get(id);
    const content = 'content' in finding ? partOf(finding.content) : undefined;
    // Change the object in place. Otherwise each sweep would replace an old object for each key, and collecting old
    // objects is expensive.
    if (before === undefined) this.#checks.set(id, new KeptCheck(finding, content, hasReplacedValue, at));
    else before.update(finding, content, hasReplacedValue, at);
  }

  /** Forgets the references that are not used. */
  retain(used: ReadonlySet<string>): void {
    for (const id of this.#checks.keys()) if (!used.has(id)) this.#checks.delete(id);
  }
}

const [BY_LIST, CHANGED, REUSED, FIRST] = [1, 2, 4, 8];

/** A check with few members, because there are tens of thousands of them. */
class KeptCheck implements SourceCheck {
  checkedAt: SweepTime;
  since: SweepTime;
  /** A part of the fingerprint of the last value read. */
  #content: number | undefined;
  /** The version, or another finding. */
  #found: string | Exclude<KnownFinding, { kind: 'version' }>;
  #flags: number;

  constructor(finding: Finding, content: number | undefined, isReused: boolean, at: SweepTime) {
    this.checkedAt = at;
    this.since = at;
    this.#content = content;
    this.#found = foundIn(finding);
    this.#flags = flagsOf(finding, { isReused, isChanged: isReused }) | FIRST;
  }

  get finding(): KnownFinding {
    const found = this.#found;
    if (typeof found !== 'string') return found;
    return { kind: 'version', version: found, by: this.#has(BY_LIST) ? 'list' : 'read' };
  }

  get isChanged(): boolean {
    return this.#has(CHANGED);
  }

  get isVersionReused(): boolean {
    return this.#has(REUSED);
  }

  get isFirst(): boolean {
    return this.#has(FIRST);
  }

  update(finding: Finding, next: number | undefined, hasReplacedValue: boolean, at: SweepTime): void {
    const content = next ?? this.#content;
    // Before the first read of this process, only the audit shows a replaced value. Afterwards use the last value,
    // because reads of this process may not be in the audit yet.
    const isReused = this.#content === undefined ? hasReplacedValue : this.#content !== content;
    const isEqual = isSame(this.#found, foundIn(finding));
    if (!isEqual || isReused) this.since = at;
    this.checkedAt = at;
    this.#content = content;
    // The same version keeps its text, which others may share.
    if (!isEqual) this.#found = foundIn(finding);
    this.#flags = flagsOf(finding, { isReused, isChanged: isReused || !isEqual });
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }
}

function foundIn(finding: Finding): string | Exclude<KnownFinding, { kind: 'version' }> {
  return finding.kind === 'version' ? finding.version : finding;
}

/** Whether two findings are equal. It does not matter whether a list or a read has shown a version. */
function isSame(a: ReturnType<typeof foundIn>, b: ReturnType<typeof foundIn>): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.kind === 'failed' ? b.kind === 'failed' && a.code === b.code : a.kind === b.kind;
}

function flagsOf(
  finding: Finding,
  { isReused, isChanged }: { readonly isReused: boolean; readonly isChanged: boolean },
): number {
  const isList = finding.kind === 'version' && finding.by === 'list';
  return (isList ? BY_LIST : 0) | (isChanged ? CHANGED : 0) | (isReused ? REUSED : 0);
}

/** Returns 52 bits of a fingerprint, which take less memory. Values are only compared with the previous value. */
function partOf(fingerprint: Fingerprint): number {
  return Number.parseInt(fingerprint.slice(-13), 16);
}

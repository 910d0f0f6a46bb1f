import { dirname, join } from 'node:path';
import { isConfigMapPath } from '../files/config-maps.ts';

/** The events of the watched folders since some time, and what they say about the files. */
export class FolderEvents {
  /** The entries that the events name. */
  readonly #paths = new Set<string>();
  /** The folders of these entries. */
  readonly #folders = new Set<string>();
  #areReplacements = true;

  get isEmpty(): boolean {
    return this.#folders.size === 0;
  }

  /**
   * Whether entries were only replaced, such as with `mv`, or as the link of a ConfigMap. Then each file is complete. A
   * file that is written in place looks complete while its end is still missing.
   */
  get areReplacements(): boolean {
    return this.#areReplacements && !this.isEmpty;
  }

  /** Whether only ConfigMaps have changed. The API server never shows a part of a change. */
  get areConfigMaps(): boolean {
    return this.areReplacements && [...this.#folders].every(isConfigMapPath);
  }

  get haveConfigMaps(): boolean {
    return this.#folders.values().some(isConfigMapPath);
  }

  /** @param name The entry in the folder. Undefined if it is not known. */
  note(folder: string, name: string | undefined, kind: 'rename' | 'change'): void {
    if (name === undefined || kind !== 'rename') this.#areReplacements = false;
    this.#folders.add(folder);
    // The link `..data` of a ConfigMap replaces all of its files.
    this.#paths.add(name === undefined || name.startsWith('..') ? folder : join(folder, name));
  }

  add(others: FolderEvents): void {
    this.#areReplacements &&= others.#areReplacements;
    for (const folder of others.#folders) this.#folders.add(folder);
    for (const path of others.#paths) this.#paths.add(path);
  }

  /** Whether an event may concern a file or a folder. */
  mayConcern(path: string): boolean {
    if (this.#folders.has(path)) return true;
    for (let at = path; ; at = dirname(at)) {
      if (this.#paths.has(at)) return true;
      if (at === dirname(at)) return false;
    }
  }
}

/** What the controller must know of the stores. */
export interface StoreParts {
  readonly definitions: () => ReadonlyMap<string, string>;
  readonly tellsVersions: (store: string) => boolean;
  readonly isDown: (store: string) => boolean;
  /** Told of each request to a store that has ended, well or not. */
  readonly onAnswer: (listener: (store: string) => void) => void;
  /** All the names by which an event may speak of a store's key. */
  readonly namesOf: (store: string, key: string) => readonly string[];
}

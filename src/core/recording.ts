/** A record on its way to the disk, behind those before it and ahead of those after it. */
export interface Recording {
  readonly durable: Promise<unknown>;
}

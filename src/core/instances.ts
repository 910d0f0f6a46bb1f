/** Whose targets are ours: of this name, and of those that it had before. */
export interface Instances {
  readonly instance: string;
  readonly formerInstances: readonly string[];
}

export function instancesOf({ instance, formerInstances }: Instances): readonly string[] {
  return [instance, ...formerInstances];
}

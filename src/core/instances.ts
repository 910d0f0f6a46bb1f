/** An instance owns the targets of its current name and of its former names. */
export interface Instances {
  readonly instance: string;
  readonly formerInstances: readonly string[];
}

export function instancesOf({ instance, formerInstances }: Instances): readonly string[] {
  return [instance, ...formerInstances];
}

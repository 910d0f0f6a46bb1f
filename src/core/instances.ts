/** The instance names whose targets this instance owns: its current name and its former names. */
export interface Instances {
  readonly instance: string;
  readonly formerInstances: readonly string[];
}

export function instancesOf({ instance, formerInstances }: Instances): readonly string[] {
  return [instance, ...formerInstances];
}

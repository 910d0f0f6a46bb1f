import type { ResolvedImage } from './bases.ts';

/** A file or image that the statement is about. */
export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

export interface Build {
  readonly subjects: readonly Subject[];
  /** The commit of the sources. */
  readonly commit: string;
  /** Whether the sources differ from the commit. */
  readonly isChanged: boolean;
  readonly version: string;
  readonly architectures: readonly string[];
  readonly epoch: number;
  readonly lockFileSha256: string;
  readonly images: readonly ResolvedImage[];
  /** The versions of the programs that built the image. */
  readonly tools: Readonly<Record<string, string>>;
  readonly builder: string;
  readonly startedOn: Date;
  readonly finishedOn: Date;
}

/** Creates an in-toto statement with a SLSA provenance: which sources and images became which files, and how. */
export function provenanceOf(build: Build): string {
  const images = build.images.map(({ name, architecture, digest }) => {
    const [algorithm = '', hex] = digest.split(':');
    // The package URL specification requires that the name of the registry is a qualifier.
    const url = `repository_url=${encodeURIComponent(name)}&arch=${architecture}`;
    const uri = `pkg:oci/${name.split('/').at(-1)}@${encodeURIComponent(digest)}?${url}`;
    return { uri, digest: { [algorithm]: hex } };
  });
  const unique = new Map(images.map((image) => [image.uri, image]));
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: build.subjects,
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'https://secretbridge.dev/build/image/v1',
        externalParameters: {
          ...{ version: build.version, architectures: build.architectures, sourceDateEpoch: build.epoch },
          uncommittedChanges: build.isChanged,
        },
        internalParameters: { tools: build.tools },
        resolvedDependencies: [
          { name: 'sources', digest: { gitCommit: build.commit } },
          { name: 'package-lock.json', digest: { sha256: build.lockFileSha256 } },
          ...unique.values(),
        ],
      },
      runDetails: {
        builder: { id: build.builder },
        metadata: {
          startedOn: build.startedOn.toISOString(),
          finishedOn: build.finishedOn.toISOString(),
        },
      },
    },
  };
  return `${JSON.stringify(statement, null, 2)}\n`;
}

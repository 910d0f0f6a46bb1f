import type { SelectedConfigMap } from '../../cluster/team-ports.ts';
import { type ConfigMapPath, parsePath, textIn } from '../../config/files/config-maps.ts';
import type { ConfigFs } from '../../config/files/files.ts';
import { AppError } from '../../core/errors.ts';

/**
 * What is kept of a ConfigMap: the text of its mappings, or what is wrong with it. A short `Buffer` would keep 64 KiB in
 * memory, because many buffers share one block.
 */
export type Content = string | AppError;

/** A ConfigMap, reduced to what is kept. */
export interface KeptConfigMap {
  readonly name: string;
  readonly content: Content;
}

/** The ConfigMaps of a selector in a namespace. */
export interface NamespaceFolder {
  /** The reason why the ConfigMaps cannot be listed. */
  readonly error: AppError | undefined;
  readonly contents: ReadonlyMap<string, Content>;
}

/** The folders with ConfigMaps, which `configMapFiles` shows as files. */
export interface Folders {
  /** Returns the namespaces with ConfigMaps of a selector. @throws AppError if they cannot be found */
  namespaces(selector: string): readonly string[];
  folder(selector: string, namespace: string): NamespaceFolder;
}

export function kept({ name, data, binaryKeys }: SelectedConfigMap): KeptConfigMap {
  const found = textIn(data, binaryKeys);
  return { name, content: 'text' in found ? found.text : invalid(found.problem) };
}

/** The error of a single ConfigMap. */
export function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}

/** The error of a folder that was not listed. */
export function notListed(namespace: string): AppError {
  const detail = 'the ConfigMaps have not been listed yet';
  return new AppError('CLUSTER_UNAVAILABLE', { subject: `namespace ${namespace}`, detail });
}

/** The error if there is no cluster to read from, for example because there is no kubeconfig here. */
export function unopened({ detail, message, remedy }: AppError): AppError {
  return new AppError('CLUSTER_UNAVAILABLE', { detail: detail ?? message, remedy, needsAction: true });
}

/** The error of a folder in a namespace whose ConfigMaps may be deleted already. */
export function endingNamespace(namespace: string): AppError {
  return new AppError('NAMESPACE_MISSING', {
    subject: `namespace ${namespace}`,
    detail: 'the namespace is ending, so ConfigMaps may be missing',
    remedy: 'No action needed: the targets of the namespace are kept until it is gone.',
  });
}

export function sizeOf(content: Content | undefined): number {
  return typeof content === 'string' ? Buffer.byteLength(content) : 0;
}

/** Adds the ConfigMaps to a file system. */
export function configMapFiles(files: ConfigFs, folders: Folders): ConfigFs {
  const either = <T>(
    path: string,
    onDisk: () => Promise<T>,
    inCluster: (at: ConfigMapPath) => T,
  ): Promise<T> => {
    const at = parsePath(path);
    return at === undefined ? onDisk() : Promise.try(() => inCluster(at));
  };
  return {
    stat: (path) =>
      either(
        path,
        () => files.stat(path),
        (at) => infoOf(at, folders),
      ),
    readdir: (path) =>
      either(
        path,
        () => files.readdir(path),
        (at) => namesIn(at, folders),
      ),
    readFile: (path) =>
      either(
        path,
        () => files.readFile(path),
        (at) => contentOf(at, folders),
      ),
    staysInFolder: (path) =>
      either(
        path,
        () => files.staysInFolder(path),
        () => true,
      ),
    release: (path, bytes) => files.release?.(path, bytes),
  };
}

function infoOf(at: ConfigMapPath, folders: Folders): Awaited<ReturnType<ConfigFs['stat']>> {
  const isFile = at.name !== undefined;
  const { contents } = at.namespace === undefined ? EMPTY : folders.folder(at.selector, at.namespace);
  const content = at.name === undefined ? undefined : contents.get(at.name);
  if (isFile && content === undefined) throw missing();
  return { isFile: () => isFile, isDirectory: () => !isFile, size: sizeOf(content) };
}

const EMPTY = { contents: new Map<string, Content>() };

function namesIn({ selector, namespace }: ConfigMapPath, folders: Folders): readonly string[] {
  if (namespace === undefined) return folders.namespaces(selector);
  const { error, contents } = folders.folder(selector, namespace);
  if (error !== undefined) throw error;
  return [...contents.keys()];
}

function contentOf({ selector, namespace = '', name = '' }: ConfigMapPath, folders: Folders): Uint8Array {
  const content = folders.folder(selector, namespace).contents.get(name);
  if (content === undefined) throw missing();
  if (content instanceof AppError) throw content;
  return Buffer.from(content);
}

/** The error that a missing file on the disk has. */
function missing(): Error {
  return Object.assign(new Error('no such ConfigMap'), { code: 'ENOENT' });
}

// The types of cache.js. That file is plain JavaScript, because it runs before anything is installed.
export function cacheFolder(): string;
export function cachedFolder(
  path: string,
  build: (draft: string) => Promise<void>,
  onWait?: () => void,
): Promise<string>;
export function withLock<Result>(
  path: string,
  action: () => Promise<Result>,
  onWait?: () => void,
): Promise<Result>;

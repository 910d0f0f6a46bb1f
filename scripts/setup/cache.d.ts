// The types of cache.js. cache.js is plain JavaScript, because it runs before any package is installed.
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

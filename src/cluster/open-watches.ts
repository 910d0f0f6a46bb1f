/** The open watches of a cluster. Disposing the cluster ends them. */
export interface OpenWatches extends AsyncDisposable {
  /** Registers a watch. Disposing the returned handle ends the watch and removes it. */
  add(watch: AsyncDisposable): AsyncDisposable;
}

export function createOpenWatches(): OpenWatches {
  const open = new Set<AsyncDisposable>();
  return {
    add(watch) {
      open.add(watch);
      return {
        async [Symbol.asyncDispose]() {
          open.delete(watch);
          await watch[Symbol.asyncDispose]();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...open].map((watch) => watch[Symbol.asyncDispose]()));
      open.clear();
    },
  };
}

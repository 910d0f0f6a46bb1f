/** The watches of a cluster: those that are still open end with it. */
export interface OpenWatches extends AsyncDisposable {
  /** Gives the watch again; ending it also takes it out. */
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

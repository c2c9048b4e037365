const FIRST_PLACES = 64;

/**
 * What runs on a link, by stream number: open addressing with linear probing, deletion by shifting back (Knuth, volume 3,
 * section 6.4, algorithm R).
 *
 * Not a `Map`: V8's is made anew every few hundred insertions and deletions, and the table given up still refers to the new
 * one and to what ran at that moment. Once one of them is old, all that follow, with every invocation in them, look alive until
 * the next full collection: a third of the gateway's garbage was copied instead of dropped.
 */
export class StreamTable<T extends { readonly stream: number }> {
  #places: (T | undefined)[] = emptyPlaces(FIRST_PLACES);
  #mask = FIRST_PLACES - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(stream: number): T | undefined {
    return this.#places[this.#find(stream)];
  }

  /** Its stream must not be in the table. */
  add(item: T): void {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    this.#places[this.#find(item.stream)] = item;
    this.#size++;
  }

  delete(stream: number): void {
    const places = this.#places;
    const mask = this.#mask;
    let hole = this.#find(stream);
    if (places[hole] === undefined) return;
    for (let next = (hole + 1) & mask; places[next] !== undefined; next = (next + 1) & mask) {
      const home = places[next]!.stream & mask;
      // One that stands between its home and the hole would no longer be found across it.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      places[hole] = places[next];
      hole = next;
    }
    places[hole] = undefined;
    this.#size--;
  }

  /** As of now: items may come and go while the list is read. */
  list(): T[] {
    return this.#places.filter((item) => item !== undefined);
  }

  clear(): void {
    this.#places.fill(undefined);
    this.#size = 0;
  }

  /** Where it is, or the empty place where it would be. */
  #find(stream: number): number {
    const places = this.#places;
    let place = stream & this.#mask;
    for (let item = places[place]; item !== undefined && item.stream !== stream; item = places[place])
      place = (place + 1) & this.#mask;
    return place;
  }

  #grow(): void {
    const items = this.list();
    this.#places = emptyPlaces(this.#places.length * 2);
    this.#mask = this.#places.length - 1;
    for (const item of items) this.#places[this.#find(item.stream)] = item;
  }
}

function emptyPlaces<T>(places: number): (T | undefined)[] {
  return new Array<T | undefined>(places).fill(undefined);
}

/** `service` with other methods in the place of some of its own, for `[forPlugin]`. Its own methods keep their `this`. */
export function serviceView<T extends object>(service: T, replaced: Partial<T>): T {
  return new Proxy(service, {
    get(target, key) {
      if (Object.hasOwn(replaced, key)) return replaced[key as keyof T];
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value),
  });
}

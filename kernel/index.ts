import 'reflect-metadata';

export const x: number = 1;

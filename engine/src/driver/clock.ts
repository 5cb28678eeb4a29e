export { pause, systemClock, type Clock } from '@kadre/a2a';

export { pause, systemClock, type Clock } from './clock.ts';
export { A2AConnection, CallError, type ConnectionOptions } from './connection.ts';
export {
  followTask,
  LET_GO,
  messageParts,
  type Accepted,
  type FollowOptions,
  type MessagePart,
  type Order,
  type Reply,
} from './follow.ts';
export { sizedOutput, withCitations, type Json, type Question, type TaskOutcome } from './task-view.ts';

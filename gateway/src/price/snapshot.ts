// What providers charge, in USD for a million tokens, as of 2026-09-23. Facts gathered from the providers' price pages by
// way of https://github.com/pydantic/genai-prices, release 0.1.8.
import type { ModelPrices, PriceList } from './price-list.ts';

const openai: ModelPrices = {
  'text-embedding-3-large': [{ input: '0.13', output: '0' }],
  'text-embedding-3-small': [{ input: '0.02', output: '0' }],
  'text-embedding-ada-002': [{ input: '0.1', output: '0' }],
  'gpt-4.1': [{ input: '2', output: '8', cached: '0.5' }],
  'gpt-4.1-mini': [{ input: '0.4', output: '1.6', cached: '0.1' }],
  'gpt-4.1-nano': [{ input: '0.1', output: '0.4', cached: '0.025' }],
  'gpt-4o': [{ input: '2.5', output: '10', cached: '1.25' }],
  'gpt-4o-mini': [{ input: '0.15', output: '0.6', cached: '0.075' }],
  'gpt-5': [{ input: '1.25', output: '10', cached: '0.125' }],
  'gpt-5-mini': [{ input: '0.25', output: '2', cached: '0.025' }],
  'gpt-5-nano': [{ input: '0.05', output: '0.4', cached: '0.005' }],
  'gpt-5-pro': [{ input: '15', output: '120' }],
  'gpt-5.1': [{ input: '1.25', output: '10', cached: '0.125' }],
  'gpt-5.2': [{ input: '1.75', output: '14', cached: '0.175' }],
  'gpt-5.2-pro': [{ input: '21', output: '168' }],
  'gpt-5.3': [{ input: '1.75', output: '14', cached: '0.175' }],
  'gpt-5.3-codex': [{ input: '1.75', output: '14', cached: '0.175' }],
  'gpt-5.4': [
    {
      input: '2.5',
      output: '15',
      cached: '0.25',
      tiers: [{ above: 271999, input: '5', output: '22.5', cached: '0.5' }],
    },
  ],
  'gpt-5.4-mini': [{ input: '0.75', output: '4.5', cached: '0.075' }],
  'gpt-5.4-nano': [{ input: '0.2', output: '1.25', cached: '0.02' }],
  'gpt-5.4-pro': [{ input: '30', output: '180', tiers: [{ above: 271999, input: '60', output: '270' }] }],
  'gpt-5.5': [
    { input: '5', output: '30', cached: '0.5', tiers: [{ above: 271999, input: '10', output: '45', cached: '1' }] },
  ],
  'gpt-5.5-pro': [{ input: '30', output: '180', tiers: [{ above: 271999, input: '60', output: '270' }] }],
  'gpt-5.6-luna': [
    {
      input: '0.2',
      output: '1.2',
      cached: '0.02',
      write: '0.25',
      tiers: [{ above: 271999, input: '0.4', output: '1.8', cached: '0.04', write: '0.5' }],
    },
  ],
  'gpt-5.6-sol': [
    {
      input: '4',
      output: '20',
      cached: '0.4',
      write: '5',
      tiers: [{ above: 271999, input: '8', output: '30', cached: '0.8', write: '10' }],
    },
  ],
  'gpt-5.6-terra': [
    {
      input: '2',
      output: '12',
      cached: '0.2',
      write: '2.5',
      tiers: [{ above: 271999, input: '4', output: '18', cached: '0.4', write: '5' }],
    },
  ],
  'gpt-6-astra': [
    {
      input: '10',
      output: '50',
      cached: '1',
      write: '12.5',
      tiers: [{ above: 271999, input: '20', output: '75', cached: '2', write: '25' }],
    },
  ],
  'gpt-6-luna': [
    {
      input: '0.1',
      output: '0.5',
      cached: '0.01',
      write: '0.125',
      tiers: [{ above: 272000, input: '0.2', output: '0.75', cached: '0.02', write: '0.25' }],
    },
  ],
  'gpt-6-sol': [
    {
      input: '2',
      output: '10',
      cached: '0.2',
      write: '2.5',
      tiers: [{ above: 272000, input: '4', output: '15', cached: '0.4', write: '5' }],
    },
  ],
  o1: [{ input: '15', output: '60', cached: '7.5' }],
  o3: [{ input: '2', output: '8', cached: '0.5' }],
  'o3-mini': [{ input: '1.1', output: '4.4', cached: '0.55' }],
  'o3-pro': [{ input: '20', output: '80' }],
  'o4-mini': [{ input: '1.1', output: '4.4', cached: '0.275' }],
  'gpt-4o-2024-05-13': [{ input: '5', output: '15' }],
};

const anthropic: ModelPrices = {
  'claude-3-5-haiku': [{ input: '0.8', output: '4', cached: '0.08', write: '1', writeHour: '1.6' }],
  'claude-3-7-sonnet': [{ input: '3', output: '15', cached: '0.3', write: '3.75', writeHour: '6' }],
  'claude-3-haiku': [{ input: '0.25', output: '1.25', cached: '0.03', write: '0.3', writeHour: '0.5' }],
  'claude-fable-5': [{ input: '10', output: '50', cached: '1', write: '12.5', writeHour: '20' }],
  'claude-fable-5-1': [{ input: '10', output: '50', cached: '0.25', write: '12.5', writeHour: '20' }],
  'claude-haiku-4-5': [{ input: '1', output: '5', cached: '0.1', write: '1.25', writeHour: '2' }],
  'claude-opus-4': [{ input: '15', output: '75', cached: '1.5', write: '18.75', writeHour: '30' }],
  'claude-opus-4-1': [{ input: '15', output: '75', cached: '1.5', write: '18.75', writeHour: '30' }],
  'claude-opus-4-5': [{ input: '5', output: '25', cached: '0.5', write: '6.25', writeHour: '10' }],
  'claude-opus-4-6': [{ input: '5', output: '25', cached: '0.5', write: '6.25', writeHour: '10' }],
  'claude-opus-4-7': [{ input: '5', output: '25', cached: '0.5', write: '6.25', writeHour: '10' }],
  'claude-opus-4-8': [{ input: '5', output: '25', cached: '0.5', write: '6.25', writeHour: '10' }],
  'claude-opus-5': [{ input: '5', output: '25', cached: '0.5', write: '6.25', writeHour: '10' }],
  'claude-opus-5-5': [{ input: '4', output: '20', cached: '0.2', write: '5', writeHour: '8' }],
  'claude-sonnet-4': [{ input: '3', output: '15', cached: '0.3', write: '3.75', writeHour: '6' }],
  'claude-sonnet-4-5': [
    {
      input: '3',
      output: '15',
      cached: '0.3',
      write: '3.75',
      writeHour: '6',
      tiers: [{ above: 200000, input: '6', output: '22.5', cached: '0.6', write: '7.5', writeHour: '12' }],
    },
  ],
  'claude-sonnet-4-6': [{ input: '3', output: '15', cached: '0.3', write: '3.75', writeHour: '6' }],
  'claude-sonnet-5': [{ input: '2', output: '10', cached: '0.2', write: '2.5', writeHour: '4' }],
};

const google: ModelPrices = {
  'gemini-embedding-001': [{ input: '0.15', output: '0' }],
  'gemini-embedding-2': [{ input: '0.2', output: '0' }],
  'gemini-2.0-flash': [{ input: '0.1', output: '0.4', cached: '0.025' }],
  'gemini-2.0-flash-lite': [{ input: '0.075', output: '0.3' }],
  'gemini-2.5-flash': [{ input: '0.3', output: '2.5', cached: '0.03' }],
  'gemini-2.5-flash-lite': [{ input: '0.1', output: '0.4', cached: '0.01' }],
  'gemini-2.5-pro': [
    {
      input: '1.25',
      output: '10',
      cached: '0.125',
      tiers: [{ above: 200000, input: '2.5', output: '15', cached: '0.25' }],
    },
  ],
  'gemini-3-flash-preview': [{ input: '0.5', output: '3', cached: '0.05' }],
  'gemini-3-pro-preview': [
    { input: '2', output: '12', cached: '0.2', tiers: [{ above: 200000, input: '4', output: '18', cached: '0.4' }] },
  ],
  'gemini-3.1-flash-lite': [{ input: '0.25', output: '1.5', cached: '0.025' }],
  'gemini-3.1-pro-preview': [
    { input: '2', output: '12', cached: '0.2', tiers: [{ above: 200000, input: '4', output: '18', cached: '0.4' }] },
  ],
  'gemini-3.5-flash': [{ input: '1.5', output: '9', cached: '0.15' }],
  'gemini-3.5-flash-lite': [{ input: '0.3', output: '2.5', cached: '0.03' }],
  'gemini-3.6-flash': [
    { input: '0.75', output: '3.75', cached: '0.075' },
    { from: '2027-01-01', input: '1.5', output: '7.5', cached: '0.15' },
  ],
  'gemini-3.7-flash': [
    { input: '0.75', output: '3.75', cached: '0.075' },
    { from: '2027-01-01', input: '1.5', output: '7.5', cached: '0.15' },
  ],
  'gemini-3.8-flash': [
    { input: '0.75', output: '3.75', cached: '0.075' },
    { from: '2027-01-01', input: '1.5', output: '7.5', cached: '0.15' },
  ],
};

export const snapshot = { openai, anthropic, google } satisfies PriceList;

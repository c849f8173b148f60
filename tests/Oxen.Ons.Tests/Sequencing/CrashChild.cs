using System.Globalization;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>Writes into ledgers until it is killed, and says each operation that was acknowledged, on a line of its own: ledger, operation, height.</summary>
internal static class CrashChild
{
    public const string Verb = "crash-child";
    public const int Writers = 4;

    public static Genesis Genesis { get; } = Genesis.Create(
        "crash", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(TestLedger.Founders.Select(f => f.Id)), Enumerable.Range(0, Writers).Select(i => KeyValuePair.Create(TestLedger.Key($"writer {i}").Id, 1_000_000 * TestLedger.Oxen)));

    public static async Task<int> RunAsync(string[] databases, int round)
    {
        var hosts = new List<LedgerHost>();
        foreach (string database in databases) hosts.Add(await LedgerHost.OpenAsync(SqliteSequencer.Open(database), Genesis, new LedgerHostOptions { SnapshotFile = database + ".snapshot", SnapshotEvery = 8 }));
        Console.WriteLine("ready");
        await Task.WhenAll(hosts.SelectMany((host, ledger) => Enumerable.Range(0, Writers).Select(i => WriteAsync(host, ledger, i, round))));
        return 0;
    }

    private static async Task WriteAsync(LedgerHost host, int ledger, int writer, int round)
    {
        LedgerKey key = TestLedger.Key($"writer {writer}");
        for (int i = 0; ; i++)
        {
            ulong nonce = host.State.Account(key.Id).Nonce;
            OperationBody body = i % 5 == 4 ? TestLedger.Buy(string.Create(CultureInfo.InvariantCulture, $"n{writer}-{round}-{i}"), 0, "alice") : new TransferBody(TestLedger.Key("bob").Id, (ulong)i + 1);
            Receipt receipt = await host.SubmitAsync(Operation.Create(body, key, nonce, host.State.Network));
            if (receipt.Refusal is { } refusal) throw new InvalidOperationException(refusal.ToString());
            string line = string.Create(CultureInfo.InvariantCulture, $"{ledger} {receipt.Id} {receipt.Height}\n");
            lock (key.GetType())
            {
                Console.Out.Write(line);
                Console.Out.Flush();
            }
        }
    }
}

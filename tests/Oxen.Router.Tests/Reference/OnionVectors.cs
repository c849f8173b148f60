using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Oxen.Router.Tests.Reference;

// The vectors of the onion layer. Bodies and chains are SHA-256 in counter mode over a name, so the file stays small to
// explain and anybody can make more of them. Written anew by
//   OXEN_WRITE_VECTORS=1 dotnet test tests/Oxen.Router.Tests --filter FullyQualifiedName~OnionVectorTests
internal sealed record OnionVector(
    string Name, string Chain, string NextChain, string Keys, int Class, int Direction, int Kind, int Position, ulong Epoch,
    string Tweak, string X, string Y);

internal static class OnionVectors
{
    private static readonly JsonSerializerOptions Style = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private static readonly (string Name, int Bytes, int Class, int Direction, int Kind, int Position, ulong Epoch)[] Cases =
    [
        ("shortest, two blocks", 32, 0, 0, 0, 0, 29_453_760),
        ("full class, upstream", 1376, 0, 0, 0, 0, 29_453_760),
        ("full class, downstream", 1376, 0, 1, 0, 0, 29_453_760),
        ("full class, the epoch after", 1376, 0, 0, 0, 0, 29_453_761),
        ("reduced class, upstream", 1184, 1, 0, 0, 0, 29_453_760),
        ("reduced class, downstream, large epoch", 1184, 1, 1, 0, 0, ulong.MaxValue),
        ("build record at position 1", 1280, 0, 0, 1, 1, 0),
        ("build record at position 7", 1280, 0, 0, 1, 7, 0),
        ("build reply at position 3", 1280, 0, 1, 2, 3, 0),
        ("longest, 128 blocks in the right half", 2064, 0, 0, 0, 0, 1),
    ];

    public static string Path()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "Oxen.Router.sln"))) folder = folder.Parent;
        return System.IO.Path.Combine(folder?.FullName ?? throw new InvalidOperationException("the tests run outside the repository"), "tests", "vectors", "onion-layer.json");
    }

    public static OnionVector[] Read() => JsonSerializer.Deserialize<OnionVector[]>(File.ReadAllText(Path()), Style)!;

    public static string Generate() => JsonSerializer.Serialize(Cases.Select(Make).ToArray(), Style) + "\n";

    private static OnionVector Make((string Name, int Bytes, int Class, int Direction, int Kind, int Position, ulong Epoch) c)
    {
        byte[] chain = Bytes("chain " + c.Name, 32), x = Bytes("body " + c.Name, c.Bytes), raw = SlowOnion.KeysOf(chain);
        byte[] tweak = SlowOnion.Tweak(c.Class, c.Direction, c.Kind, c.Position, c.Epoch);
        byte[] y = SlowOnion.Forward(x, SlowOnion.Split(raw), tweak);
        return new OnionVector(
            c.Name, Hex(chain), Hex(SlowOnion.NextChain(chain)), Hex(raw), c.Class, c.Direction, c.Kind, c.Position, c.Epoch, Hex(tweak), Hex(x), Hex(y));
    }

    private static byte[] Bytes(string name, int length)
    {
        List<byte> bytes = [];
        for (int i = 0; bytes.Count < length; i++) bytes.AddRange(SHA256.HashData(Encoding.ASCII.GetBytes($"{name} {i}")));
        return [.. bytes.Take(length)];
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}

namespace Oxen.Ladder;

internal static class Program
{
    private static int Main() => 0;
}

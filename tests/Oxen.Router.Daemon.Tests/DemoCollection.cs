namespace Oxen.Router.Daemon.Tests;

/// <summary>
/// Tests that start a whole network, a dozen processes or more each: one of them at a time, beside the others. Several at once
/// would only wait for each other's processors.
/// </summary>
[CollectionDefinition(Name)]
public sealed class DemoCollection
{
    public const string Name = "demo";
}
